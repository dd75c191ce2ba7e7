//! `cargo xtask dist`: everything into a folder as it is installed, and a Debian package of it.
//!
//! The same programs and the same checkout give the same bytes: times are those of
//! `SOURCE_DATE_EPOCH`, owners are root, the order is that of names.

pub mod deb;
mod list;
mod stage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use self::list::{CONFIGURATION, PROGRAMS};

/// What a distribution is made of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The checkout.
    pub checkout: PathBuf,
    /// The folder of the static programs.
    pub programs: PathBuf,
    /// Time of every file, in seconds since 1970.
    pub epoch: u64,
}

impl Source {
    /// Installs everything below `destination`, which may hold other files already.
    ///
    /// # Errors
    /// A file of the checkout or a program is missing, or `destination` can't be written.
    pub fn install(&self, destination: &Path) -> Result<()> {
        for name in PROGRAMS {
            let program = self.programs.join(name);
            ensure!(
                program.is_file(),
                "{} is missing: build it with `cargo xtask agent` and `cargo xtask tools`",
                program.display()
            );
        }
        let mut stage = stage::Stage::new(destination, self.epoch)?;
        list::install(self, &mut stage)?;
        stage
            .finish()
            .with_context(|| format!("cannot finish {}", destination.display()))
    }

    /// A file of the checkout.
    fn file(&self, name: &str) -> PathBuf {
        self.checkout.join(name)
    }
}
