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
//!
//! ```
//! use tao::{
//!     guard::{DatalogGuard, EXECUTE, Guard, authorized},
//!     logic::Prin,
//! };
//!
//! let mut guard = DatalogGuard::new();
//! guard.add_rule("forall P: MemberProgram(P) implies Authorized(P, \"Execute\")")?;
//! guard.add_rule("MemberProgram(key([0a]).Program([0b]))")?;
//!
//! let member: Prin = "key([0a]).Program([0b])".parse()?;
//! let other: Prin = "key([0a]).Program([0c])".parse()?;
//! assert!(guard.is_authorized(&member, EXECUTE, &[]));
//! assert!(!guard.is_authorized(&other, EXECUTE, &[]));
//!
//! // Why not: the nearest rule, and what it misses.
//! let explained = guard.why(&authorized(&other, EXECUTE, &[]))?;
//! assert!(explained.steps[0].reason.contains("misses MemberProgram(key([0a]).Program([0c]))"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
