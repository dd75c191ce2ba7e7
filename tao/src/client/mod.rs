//! How a hosted program talks to the host that started it.
//!
//! ```no_run
//! use tao::client::{Parent, SealPolicy};
//!
//! let host = Parent::from_env()?;
//! println!("I am {}", host.tao_name()?);
//!
//! // Only this very program, on the same host, gets these data back.
//! let sealed = host.seal(b"a secret", SealPolicy::Own)?;
//! let (data, policy) = host.unseal(&sealed)?;
//! assert_eq!(data.as_slice(), b"a secret");
//! assert_eq!(policy, SealPolicy::Own);
//!
//! // The same, and the data sealed before under this label open no more.
//! host.init_counter("state", 0)?;
//! let old = host.rollback_protected_seal("state", b"1", SealPolicy::Own)?;
//! let new = host.rollback_protected_seal("state", b"2", SealPolicy::Own)?;
//! assert!(host.rollback_protected_unseal(&old).is_err());
//! assert_eq!(host.rollback_protected_unseal(&new)?.0.as_slice(), b"2");
//! # Ok::<(), tao::client::CallError>(())
//! ```

mod calls;
mod channel;
mod error;
mod parent;
pub mod sealed_keyset;
mod spec;
#[cfg(test)]
mod tests;

pub use calls::SealPolicy;
pub use error::CallError;
pub use parent::{CHANNEL_TYPE_VARIABLE, Parent, SPEC_VARIABLE};
