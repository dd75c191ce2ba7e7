//! `cargo xtask dist`: everything into a directory as it is installed, and a Debian package of it.
//!
//! The same programs and the same checkout give the same bytes: times are those of
//! `SOURCE_DATE_EPOCH`, owners are root, the order is that of names.

pub mod deb;
mod list;
mod source;
mod stage;

use std::path::Path;

use anyhow::{Context, Result, ensure};

pub use self::list::{CONFIGURATION, PROGRAMS};
pub use self::source::Source;

impl Source {
    /// Installs everything below `destination`, which may hold other files already.
    ///
    /// # Errors
    /// A file of the checkout or a program is missing, or `destination` cannot be written.
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
}
