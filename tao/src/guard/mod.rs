//! Guards: who may do what.
//!
//! A guard is asked whether a principal may perform an operation, for example whether
//! `key([...]).Program([...])` may `Execute` on this host. There are four kinds:
//! [`TrivialGuard`] (everything or nothing), [`AclGuard`] (a list), [`DatalogGuard`]
//! (rules). All of them explain their answers ([`Guard::why`]). Rules and lists can be
//! signed by a policy key ([`signed`]).
//!
//! Names are compared by structure, never by their text: in the original `key([])` and
//! `key([00])` had one text.

mod acl;
mod datalog;
mod decide;
mod error;
pub mod signed;
mod source;
#[cfg(test)]
mod tests;
mod trivial;

pub use acl::AclGuard;
pub use datalog::DatalogGuard;
pub use decide::{EXECUTE, Explanation, Guard, Step, authorized};
pub use error::GuardError;
pub use source::{GuardSource, RulesFile};
pub use trivial::TrivialGuard;
