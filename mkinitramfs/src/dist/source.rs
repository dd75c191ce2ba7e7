//! What a distribution is made of.

use std::path::PathBuf;

/// What a distribution is made of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The checkout.
    pub checkout: PathBuf,
    /// The directory of the static programs.
    pub programs: PathBuf,
    /// Time of every file, in seconds since 1970.
    pub epoch: u64,
}

impl Source {
    /// A file of the checkout.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.checkout.join(name)
    }
}
