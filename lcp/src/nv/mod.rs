//! Policies in TPM NV: what is there, what must change, and changing it.
//!
//! * [`place`]: which index is for what, on either TPM.
//! * [`wish`]: what shall be in the NV, from the files of a policy.
//! * [`storage`]: what NV storage is, whichever TPM it is in; [`tpm12`] and [`tpm20`] are the two.
//! * [`plan`]: the steps from what is to what shall be, and what stands in the way.
//! * [`apply`]: taking the steps, one at a time, and reading back.
//!
//! A plan is made from what the TPM shows, never from what an earlier run noted: after a power cut
//! between two steps the next plan begins where the last one ended.

pub mod apply;
pub mod place;
pub mod plan;
pub mod storage;
pub mod tpm12;
pub mod tpm20;
pub mod wish;

pub use apply::{Applied, apply};
pub use place::{IndexSet, Role, UnknownSet};
pub use plan::{Plan, PlannedIndex, Step};
pub use storage::{Definition, Index, NvError, NvStorage, Owner, OwnerState, State, Tries};
pub use wish::Wish;
