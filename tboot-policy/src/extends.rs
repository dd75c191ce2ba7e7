//! What tboot extends itself, and into which banks: its policy, then the modules.
//!
//! What SINIT extends before it is in the platform's event log (see [`crate::predict`]).

mod error;
mod event;
mod extpol;
pub(crate) mod modules;

pub use error::ExtendError;
pub use event::Event;
pub use extpol::{Extpol, ExtpolError, extend_policy};
pub use modules::{Finding, HashedModule, Mapping, Measurements, TbootRules, tboot_events};
