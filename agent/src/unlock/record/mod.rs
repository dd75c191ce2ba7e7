//! Sealed records: what LUKS2 tokens of type `taoboot` hold, and the launches they approve.
//!
//! They lie unauthenticated on the disk. Before the TPM released the secret everything in them
//! is only a hint, bounded and checked for form; the TPM itself enforces the PCR values.
//! Afterwards [`SealedRecord::verify_mac`] says whether the rest is as it was enrolled.
//!
//! * [`EnrolledRecord`]: the token itself, made by whoever had the secret.
//! * [`ApprovedLaunch`]: a token of type `taoboot-approval`, signed by the owner's policy key.
//! * [`SealedRecord`]: one launch that can open the volume, by the first alone or by both.

mod approved;
mod enrolled;
mod error;
mod form;
mod launch;
mod parts;
mod token;

pub use approved::{APPROVAL_TYPE, ApprovedLaunch};
pub use enrolled::EnrolledRecord;
pub use error::RecordError;
pub use launch::SealedRecord;
pub use parts::{RecordParts, TOKEN_TYPE};
