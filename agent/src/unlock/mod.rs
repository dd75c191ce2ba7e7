//! What releases a disk key: sealed records, the TPM's latch, LUKS2 headers and volumes.
//!
//! The order at boot is fixed by types:
//! [`CheckedHeader::read`] looks at an untrusted LUKS2 header,
//! [`find_records`] takes the sealed records out of it, [`unseal`] asks the TPM for the
//! [`BootSecret`], [`close_latch`] closes the TPM behind it, and only the [`Latched`] that
//! it returns (or [`NoTpm`] gives) lets [`open_volume`] open anything. With a passphrase instead of
//! the secret [`open_proven_volume`] wants a proof that it is the enrolled volume. Before anything is
//! mounted [`record_boot`] puts into PCR 15 what was opened and how. The other direction,
//! what `taoboot` writes into a header, is in `enrolment`.

mod ask_pin;
mod binary_header;
mod boot_record;
mod cipher;
mod cryptsetup_messages;
pub mod enrolment;
mod escrow;
mod explain;
mod find_records;
mod further;
mod handed_over;
mod header;
mod header_check;
mod identity;
mod keyslot_check;
mod known_tpms;
mod latch;
mod launch_pcrs;
mod memory_copy;
mod metadata;
mod no_tpm;
mod open;
pub(crate) mod pcr_map;
mod physical_memory;
mod pin;
pub(crate) mod pin_seal;
mod pinned;
mod proof;
mod record;
mod secret;
mod swap;
mod unseal;
mod unseal_error;
mod unseal_pin;

pub use ask_pin::{AskPin, NoAnswer, PIN_TRIES};
pub use binary_header::BinaryHeaderError;
pub use boot_record::{BootRecordError, record_boot, record_resume};
pub use escrow::Escrow;
pub use explain::{PcrDifference, default_component, explain, is_no_launch};
pub use find_records::{TokenId, find_enrolled, find_records};
pub use further::{
    FURTHER_TYPE, FurtherToken, FurtherVolumeError, check_further_volume, find_further,
    open_further_volume,
};
pub use header::{CheckedHeader, HeaderError, VolumeHeader};
pub use header_check::{CheckedSegment, HeaderCheckError};
pub use identity::VolumeIdentity;
pub use known_tpms::{KnownTpms, KnownTpmsError, SYSFS_TPM};
pub use latch::{LatchError, Latched, close_latch};
pub use launch_pcrs::{LaunchPcrs, LaunchPcrsError};
pub use memory_copy::{MemoryCopy, MemoryCopyError};
pub use metadata::{Digest, Kdf, Keyslot, Metadata, MetadataError, Segment, Token};
pub use no_tpm::{NoTpm, NoTpmError};
pub(crate) use open::close_mapping;
pub use open::{
    OpenError, OpenVolume, open_proven_volume, open_volume, proven_key, test_passphrase,
};
pub use pin::{Pin, PinError, PinKey, PinSalt};
pub use pinned::Pinned;
pub use proof::{Proof, ProofError, prove_volume};
pub use record::{
    APPROVAL_TYPE, ApprovedLaunch, EnrolledRecord, RecordError, RecordParts, SealedRecord,
    TOKEN_TYPE,
};
pub use secret::{BootSecret, HostSecret, SecretError, VolumeSecret};
pub use swap::{SwapSpec, SwapSpecError};
pub use unseal::{Unsealing, deciding_pcrs, matching, unseal, unseal_asking};
pub use unseal_error::UnsealError;

/// NV index of the rollback counter: in the range that is the owner's. (0x018074a0 is the
/// Tao host's.)
pub const ROLLBACK_COUNTER: u32 = 0x0180_74a1;

#[cfg(test)]
mod pin_tests;
#[cfg(test)]
mod simulated_tests;
#[cfg(test)]
mod tpm12_tests;
