//! What a host's name and authority rest on: a TPM (in the agent, which has one), another
//! Tao, or nothing but the host's own key.

use crate::logic::{Prin, Says};

/// Why a root could not do its part; a sentence for a person.
pub type RootError = Box<dyn std::error::Error + Send + Sync>;

/// What a host's name and authority rest on.
pub trait Root: Send {
    /// The host's name. `key` is the name of the host's own key.
    fn host_name(&mut self, key: &Prin) -> Result<Prin, RootError>;

    /// A serialized attestation of `statement`, which the host's name says; `None` if the
    /// host's key may speak for the host as it is.
    fn delegate(&mut self, statement: &Says) -> Result<Option<Vec<u8>>, RootError>;
}

/// Nothing but the host's own key, and the name says so: `key([...])`. For development.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftRoot;

impl Root for SoftRoot {
    fn host_name(&mut self, key: &Prin) -> Result<Prin, RootError> {
        Ok(key.clone())
    }

    fn delegate(&mut self, _statement: &Says) -> Result<Option<Vec<u8>>, RootError> {
        Ok(None)
    }
}
