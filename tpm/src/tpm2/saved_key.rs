//! A key that waits outside of the TPM.

use tss_esapi::structures::SavedTpmContext;

use crate::Name;

/// A derived storage root key outside of the TPM (TPM2_ContextSave). The public area that sessions
/// are salted to is the library's copy of the one that was checked.
pub(super) struct SavedKey {
    pub(super) context: SavedTpmContext,
    pub(super) name: Name,
}
