//! Who can be asked for a PIN.

use zeroize::Zeroizing;

/// How often a PIN is asked for in one boot.
pub const PIN_TRIES: usize = 3;

/// Why nothing was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Whoever was asked wants to go on without.
    #[error("none was given")]
    Declined,
    /// Nobody could be asked.
    #[error("{0}")]
    Nobody(String),
}

/// Who can be asked for a PIN.
pub trait AskPin {
    /// What was typed, as it is. `wrong` is what is to be said of the one before. `number` counts from 1.
    ///
    /// # Errors
    /// Nobody can be asked, or whoever is does not want to give one.
    fn ask(&mut self, number: usize, wrong: Option<&str>) -> Result<Zeroizing<Vec<u8>>, NoAnswer>;
}

/// There is no one.
pub(super) struct Nobody;

impl AskPin for Nobody {
    fn ask(&mut self, _: usize, _: Option<&str>) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        Err(NoAnswer::Nobody("nobody can be asked for it here".into()))
    }
}
