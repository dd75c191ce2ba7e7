//! `cargo xtask demo`: the main job, on a machine in QEMU, as a report.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, setup, step, workspace};

/// Sets up, builds an image and an encrypted disk, enrols it, boots it, and shows one attack refused.
#[derive(FromArgs)]
#[argh(subcommand, name = "demo")]
pub struct Demo {
    /// also write the report as JSON
    #[argh(option, arg_name = "file")]
    json: Option<PathBuf>,
    /// leave the machine's disks and TPM for --attach
    #[argh(switch)]
    keep: bool,
    /// boot what --keep left, with its console on this terminal
    #[argh(switch)]
    attach: bool,
}

impl Demo {
    /// Shows it.
    pub fn run(self) -> Result<()> {
        let prefix = setup::for_build()?;
        setup::for_tests()?;
        agent::build(&prefix)?;
        agent::build_for_guest(&prefix)?;
        let mut cargo = agent::cargo(&prefix)?;
        cargo.args(["build", "--locked", "-p", "taoboot-demo", "--bin", "demo"]);
        step::run("the demo itself", &mut cargo)?;
        let mut cargo = agent::cargo(&prefix)?;
        cargo.args([
            "run",
            "--quiet",
            "--locked",
            "-p",
            "taoboot-demo",
            "--bin",
            "demo",
            "--",
        ]);
        cargo
            .env("TAOBOOT_ASSETS", workspace::assets()?)
            .env("TAOBOOT_PROGRAMS", agent::directory()?);
        if let Some(file) = &self.json {
            // The demo runs in the workspace's directory, not in the caller's.
            cargo.arg("--json").arg(std::path::absolute(file)?);
        }
        if self.keep {
            cargo.arg("--keep");
        }
        if self.attach {
            cargo.arg("--attach");
        }
        step::run_visibly("demo", &mut cargo)
    }
}
