//! What a host's name and authority rest on: a TPM (in the agent, which has one), another
//! Tao, or nothing but the host's own key.

use tao::logic::{Prin, Says, SubPrin};

/// Why a root could not do its part; a sentence for a person.
pub type RootError = Box<dyn std::error::Error + Send + Sync>;

/// What a host's name and authority rest on.
pub trait Root: Send {
    /// The host's name. `key` is the name of the host's own key; the name ends with
    /// `guard`, which says who decides what the host may start.
    ///
    /// # Errors
    ///
    /// If the root cannot be asked, or has no name for this key.
    fn host_name(&mut self, key: &Prin, guard: &SubPrin) -> Result<Prin, RootError>;

    /// A serialized attestation of `statement`, which the host's name says; `None` if the
    /// host's key may speak for the host as it is.
    ///
    /// # Errors
    ///
    /// If the root does not say it.
    fn delegate(&mut self, statement: &Says) -> Result<Option<Vec<u8>>, RootError>;

    /// A counter outside the disk's reach, if there is one.
    fn anchor(&mut self) -> Option<&mut dyn Anchor>;

    /// Would the root say of this machine today what it has said at the start? Asked before each statement
    /// that rests on that.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
    fn stands(&mut self) -> Result<bool, RootError> {
        Ok(true)
    }

    /// What the boot says of itself, where a TPM holds it.
    fn boot_event(&self) -> Option<String> {
        None
    }
}

/// A counter that only goes up, whatever is done to the disk: it makes an old copy of the
/// host's table of counters worthless.
pub trait Anchor {
    /// Where the counter is, in words.
    fn describe(&self) -> String;

    /// Its value; `None` if it has not been created yet.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn value(&mut self) -> Result<Option<u64>, RootError>;

    /// Creates it. It may start anywhere.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    fn create(&mut self) -> Result<u64, RootError>;

    /// Adds one, whatever others do at the same time, and gives the new value (a higher one if
    /// others have added too).
    ///
    /// # Errors
    ///
    /// If it is not there, or at its end.
    fn increment(&mut self) -> Result<u64, RootError>;
}

/// Nothing but the host's own key, and the name says so: `key([...])`. For development.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftRoot;

impl Root for SoftRoot {
    fn host_name(&mut self, key: &Prin, guard: &SubPrin) -> Result<Prin, RootError> {
        Ok(key.extended(guard))
    }

    fn delegate(&mut self, _statement: &Says) -> Result<Option<Vec<u8>>, RootError> {
        Ok(None)
    }

    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        None
    }
}
