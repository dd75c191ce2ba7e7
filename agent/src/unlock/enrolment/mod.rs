//! What `taoboot` writes into a LUKS2 header: keyslots and their records.
//!
//! Each change is a small transaction in the header itself. A token of type
//! `taoboot-pending` announces the keyslot that is about to be made and how to recognise
//! it; then the keyslot is added; then one write of the header turns that token into the
//! record. A kill at any moment leaves the volume with every keyslot it had, and at most a
//! pending token with its keyslot, which the next run finds and removes.

mod editor;
mod enroll;
mod enrolled;
mod error;
mod further;
mod kinds;
mod last_record;
mod parent;
mod pending;
mod pin;
mod recovery_key;
mod rehearse;
mod reseal;
mod room;
mod shadowing;
mod transaction;
mod volume_lock;
mod wipe;
mod wipe_kinds;

pub use enroll::{EnrollRequest, Enrolment, Target};
pub use enrolled::{Enrolled, FurtherEnrolled};
pub use error::EnrolmentError;
pub use kinds::{Holding, Kind, UnknownKind, holdings};
pub use last_record::{last_record_goes, new_secret_ends};
pub use parent::Parent;
pub use pending::{Leftover, PENDING_TYPE, find_leftovers};
pub use recovery_key::{RECOVERY_TYPE, RecoveryKey, RecoveryKeyError, find_recovery_keys};
pub use rehearse::{Planned, rehearse};
pub use reseal::Resealing;
pub use wipe::{WipeRequest, Wiped, wipe};
pub use wipe_kinds::wipe_kinds;
