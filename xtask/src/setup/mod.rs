//! `cargo xtask setup`: from a bare Debian with cargo and gcc to a machine that can build and
//! test taoboot. Does only what is missing.

mod assets;
mod mtab;

use anyhow::Result;
use argh::FromArgs;

use crate::{
    packages::{self, Purpose},
    static_libs,
};

/// Installs what is missing: Debian packages (the only step that needs root), a Debian kernel
/// and tboot for the tests, the static C libraries.
#[derive(FromArgs)]
#[argh(subcommand, name = "setup")]
pub struct Setup {
    /// also what only `cargo xtask bench` needs: other initramfs generators to compare with
    #[argh(switch)]
    bench: bool,
    /// say what would be installed and why, and change nothing
    #[argh(switch)]
    dry_run: bool,
}

impl Setup {
    /// Sets up.
    pub fn run(self) -> Result<()> {
        if self.dry_run {
            return packages::explain();
        }
        for_build()?;
        for_tests()?;
        if self.bench {
            packages::ensure(Purpose::Bench)?;
        }
        eprintln!("taoboot is set up: `cargo xtask demo` shows it, `cargo xtask test` tests it");
        Ok(())
    }
}

/// What building the agent needs. Returns the prefix of the static libraries.
pub fn for_build() -> Result<std::path::PathBuf> {
    packages::ensure(Purpose::Build)?;
    static_libs::ensure()
}

/// What booting machines needs.
pub fn for_tests() -> Result<()> {
    packages::ensure(Purpose::Test)?;
    mtab::ensure()?;
    assets::ensure()
}

/// What comparing with other generators needs.
pub fn for_bench() -> Result<()> {
    packages::ensure(Purpose::Bench)
}
