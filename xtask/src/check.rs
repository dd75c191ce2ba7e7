//! `cargo xtask check`: what can be said soon, for a person who has just changed a line.

use std::time::Instant;

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, programs, rules, step};

/// The packages that need no C library of Debian's. The others are for `cargo xtask test`.
const PACKAGES: [&str; 14] = [
    "taoboot-printable",
    "taoboot-commands",
    "taoboot-xaes256gcm",
    "taoboot-tao",
    "taoboot-host",
    "taoboot-txt",
    "taoboot-storage",
    "taoboot-original-options",
    "taoboot-policy",
    "taoboot-mkinitramfs",
    "taoboot-xtask",
    "taoboot-test-support",
    "taoboot-guest",
    "taoboot-launch-model",
];

/// Formatting, lints, the rules of the house, and the unit tests of the packages that need no C
/// library. Installs nothing.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {}

impl Check {
    /// Checks.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        rules::check()?;
        // Nothing is installed here.
        if programs::has("codespell") {
            rules::spelling()?;
        }
        let packages: Vec<&str> = PACKAGES.iter().flat_map(|name| ["-p", name]).collect();
        rules::clippy(&mut agent::plain_cargo()?, &packages)?;
        let mut tests = agent::plain_cargo()?;
        tests
            .args(["test", "--locked", "--lib", "--bins"])
            .args(&packages);
        step::run("unit tests", &mut tests)?;
        eprintln!("checked in {} s", started.elapsed().as_secs());
        Ok(())
    }
}
