//! What was written to a volume.

use crate::unlock::find_records::TokenId;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The volume secret's public name, [`crate::unlock::VolumeSecret::id`]; a recovery key has none.
    pub secret_id: Option<String>,
    /// The token.
    pub token: TokenId,
    /// The keyslot.
    pub keyslot: u32,
}

/// What became of a further volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherEnrolled {
    /// Token and keyslot.
    pub enrolled: Enrolled,
    /// Were they written now, or were they there already?
    pub new: bool,
    /// Keyslots of earlier secrets that were removed.
    pub removed: Vec<u32>,
}
