//! How a hosted program talks to the host that started it.
//!
//! ```no_run
//! # fn main() -> Result<(), tao::client::CallError> {
//! use tao::client::{Parent, SealPolicy};
//! let host = Parent::from_env()?;
//! println!("I am {}", host.tao_name()?);
//! let sealed = host.seal(b"only for this very program", SealPolicy::Own)?;
//! assert_eq!(host.unseal(&sealed)?.0.as_slice(), b"only for this very program");
//! # Ok(())
//! # }
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
