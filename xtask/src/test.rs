//! `cargo xtask test`: everything that has to hold, from formatting to booted machines.

use std::{path::Path, process::Command, time::Instant};

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, rules, setup, step, workspace};

/// Where the random cases of the property tests start.
const SEED: &str = "1";

/// Random cases of each property test with `--thorough`; proptest's own number is 256.
const THOROUGH_CASES: &str = "10000";

/// The package with the boots.
const SCENARIOS: &str = "taoboot-scenarios";

/// Boots that are prepared or judged while others run: the harness lets so many machines run as it has
/// slots for, and a slot should not wait for somebody who makes a disk.
const SCENARIOS_AT_ONCE: &str = "4";

/// How long each fuzz target runs. What it draws is new each time: that is what it is for.
const FUZZ_SECONDS: &str = "2";

/// Sets up what is missing, then runs formatting, lints, unit and differential tests, the fuzz
/// targets, and boots.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub struct Test {
    /// leave the boots and the fuzz targets out
    #[argh(switch)]
    fast: bool,
    /// run only the tests (in any crate) whose name contains this; boots included
    #[argh(option)]
    only: Option<String>,
    /// many more random cases, and other ones each time, in the differential and property tests
    #[argh(switch)]
    thorough: bool,
}

impl Test {
    /// Tests.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let prefix = setup::for_build()?;
        setup::for_tests()?;
        rules::lock_files()?;
        if self.only.is_none() {
            rules::check()?;
            rules::spelling()?;
            rules::clippy(&mut agent::cargo(&prefix)?, &["--workspace"])?;
        }
        agent::build(&prefix)?;
        self.tests(&prefix, &["--workspace", "--exclude", SCENARIOS])?;
        if !self.fast && self.only.is_none() {
            let mut fuzz = Command::new(workspace::root()?.join("fuzz/run"));
            step::run("fuzz targets", fuzz.arg(FUZZ_SECONDS))?;
        }
        if !self.fast {
            agent::build_tools(&prefix)?;
            agent::build_for_guest(&prefix)?;
            self.tests(&prefix, &["-p", SCENARIOS])?;
        }
        eprintln!("everything passed in {} s", started.elapsed().as_secs());
        Ok(())
    }

    fn tests(&self, prefix: &Path, packages: &[&str]) -> Result<()> {
        let mut cargo = agent::cargo(prefix)?;
        cargo.args(["test", "--locked"]).args(packages);
        cargo
            .env("TAOBOOT_ASSETS", workspace::assets()?)
            .env("TAOBOOT_PROGRAMS", agent::directory()?);
        if self.thorough {
            cargo.env("TAOBOOT_THOROUGH", "1");
            set_unless_given(&mut cargo, "PROPTEST_CASES", THOROUGH_CASES);
        } else {
            // The same tree gives the same verdict twice: a run that draws its own cases
            // refuses now and then what it passed before.
            set_unless_given(&mut cargo, "PROPTEST_RNG_SEED", SEED);
        }
        if packages.contains(&SCENARIOS) && !packages.contains(&"--exclude") {
            set_unless_given(&mut cargo, "RUST_TEST_THREADS", SCENARIOS_AT_ONCE);
        }
        if let Some(only) = &self.only {
            cargo.arg("--").arg(only);
        }
        step::run_visibly(&format!("cargo test {}", packages.join(" ")), &mut cargo)
    }
}

fn set_unless_given(cargo: &mut Command, name: &str, value: &str) {
    if std::env::var_os(name).is_none() {
        cargo.env(name, value);
    }
}
