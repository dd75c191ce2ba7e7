//! `cargo xtask bench`: figures as ratios against a peer or a floor measured in the same run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, setup, step, workspace};

/// Measures image building and booting against other tools on this machine.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub struct Bench {
    /// only this part: image, boot, machines, memory, lcp, predict or tao
    #[argh(positional)]
    part: Option<String>,
    /// how often each boot is measured (default 3)
    #[argh(option, default = "3")]
    runs: u32,
    /// write the figures as JSON to this file as well
    #[argh(option, arg_name = "file")]
    json: Option<PathBuf>,
}

/// Builds something with optimization for speed.
fn release(prefix: &Path, what: &[&str]) -> Result<()> {
    let mut cargo = agent::cargo(prefix)?;
    cargo.args(["build", "--locked", "--release"]).args(what);
    step::run(&format!("{}, optimized", what.join(" ")), &mut cargo)
}

impl Bench {
    /// Is this part to be measured?
    fn wants(&self, part: &str) -> bool {
        self.part.as_deref().is_none_or(|only| only == part)
    }

    /// Measures.
    pub fn run(self) -> Result<()> {
        let prefix = setup::for_build()?;
        setup::for_tests()?;
        setup::for_bench()?;
        agent::build(&prefix)?;
        if [
            "boot",
            "machines",
            "tpm",
            "distributions",
            "memory",
            "image",
        ]
        .iter()
        .any(|part| self.wants(part))
        {
            agent::build_for_guest(&prefix)?;
            agent::build_floor(&prefix)?;
        }
        if self.wants("lcp") {
            release(&prefix, &["-p", "taoboot-lcp", "--bin", "lcp"])?;
        }
        if self.wants("predict") {
            release(&prefix, &["-p", "taoboot-policy"])?;
        }
        if self.wants("tao") {
            release(&prefix, &["-p", "taoboot-tao", "--example", "tao-bench"])?;
        }
        let mut cargo = agent::cargo(&prefix)?;
        cargo.args([
            "run",
            "--quiet",
            "--locked",
            "-p",
            "taoboot-bench",
            "--bin",
            "bench",
            "--",
        ]);
        cargo
            .args(["--runs", &self.runs.to_string()])
            .args(&self.part);
        if let Some(file) = &self.json {
            // The bench runs in the workspace's directory, not in the caller's.
            cargo.arg("--json").arg(std::path::absolute(file)?);
        }
        cargo
            .env("TAOBOOT_ASSETS", workspace::assets()?)
            .env("TAOBOOT_LCP", workspace::target()?.join("release/lcp"))
            .env(
                "TAOBOOT_TBOOT_POLICY",
                workspace::target()?.join("release/tboot-policy"),
            )
            .env(
                "TAOBOOT_TAO_BENCH",
                workspace::target()?.join("release/examples/tao-bench"),
            )
            .env("TAOBOOT_PROGRAMS", agent::directory()?);
        step::run_visibly("bench", &mut cargo)
    }
}
