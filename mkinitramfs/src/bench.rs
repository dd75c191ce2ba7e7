//! `cargo xtask bench`: figures as ratios against a peer or a floor measured in the same run.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, setup, step, workspace};

/// Measures image building and booting against other tools on this machine.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub struct Bench {
    /// only this part: image, boot, memory, lcp or predict
    #[argh(positional)]
    part: Option<String>,
    /// how often each boot is measured (default 3)
    #[argh(option, default = "3")]
    runs: u32,
    /// write the figures as JSON to this file as well
    #[argh(option, arg_name = "file")]
    json: Option<PathBuf>,
}

impl Bench {
    /// Measures.
    pub fn run(self) -> Result<()> {
        let prefix = setup::for_build()?;
        setup::for_tests()?;
        setup::for_bench()?;
        agent::build(&prefix)?;
        agent::build_for_guest(&prefix)?;
        agent::build_floor(&prefix)?;
        let mut lcp = agent::cargo(&prefix)?;
        lcp.args([
            "build",
            "--locked",
            "--release",
            "-p",
            "lcp",
            "--bin",
            "lcp",
        ]);
        step::run("lcp, optimized", &mut lcp)?;
        let mut policy = agent::cargo(&prefix)?;
        policy.args(["build", "--locked", "--release", "-p", "tboot-policy"]);
        step::run("tboot-policy, optimized", &mut policy)?;
        let mut cargo = agent::cargo(&prefix)?;
        cargo.args([
            "run", "--quiet", "--locked", "-p", "tests", "--bin", "bench", "--",
        ]);
        cargo
            .args(["--runs", &self.runs.to_string()])
            .args(self.part);
        if let Some(file) = &self.json {
            // The bench runs in the workspace's folder, not in the caller's.
            cargo.arg("--json").arg(std::path::absolute(file)?);
        }
        cargo
            .env("TAOBOOT_ASSETS", workspace::assets()?)
            .env("TAOBOOT_LCP", workspace::target()?.join("release/lcp"))
            .env(
                "TAOBOOT_TBOOT_POLICY",
                workspace::target()?.join("release/tboot-policy"),
            )
            .env("TAOBOOT_PROGRAMS", agent::folder()?);
        step::run_visibly("bench", &mut cargo)
    }
}
