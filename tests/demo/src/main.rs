//! The main job on one machine in QEMU, as a report: `cargo xtask demo`.
//!
//! Builds an image and an encrypted disk, enrols the disk to the launch that was predicted
//! for it, boots, looks around in the booted system, and changes one byte of the kernel to
//! show that the key stays in the TPM then. Every claim of the report is a check, and the
//! exit code is non-zero when one of them failed.

mod attach;
mod attack;
mod boot;
mod checks;
mod command_result;
mod console_login;
mod examples;
mod facts;
mod json;
mod logs;
mod paint;
mod progress;
mod steps;
mod tables;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use argh::FromArgs;

/// Shows a measured boot of an encrypted Debian in QEMU, and one attack refused.
#[derive(FromArgs)]
struct Demo {
    /// also write the report as JSON to this file
    #[argh(option, arg_name = "file")]
    json: Option<PathBuf>,
    /// leave the machine's disks and TPM for --attach
    #[argh(switch)]
    keep: bool,
    /// boot what --keep left, with its console on this terminal
    #[argh(switch)]
    attach: bool,
}

fn main() -> ExitCode {
    match run(&argh::from_env()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Did everything happen that was expected?
fn run(demo: &Demo) -> Result<bool> {
    if demo.attach {
        ensure!(
            !demo.keep && demo.json.is_none(),
            "--attach boots what an earlier --keep left, and writes no report: give it alone"
        );
        attach::attach()?;
        return Ok(true);
    }
    // Before the machines, which take minutes: a file that cannot be written is known now.
    let json = demo
        .json
        .as_deref()
        .map(json::JsonFile::prepare)
        .transpose()?;
    let facts = steps::show(demo.keep)?;
    println!("{}", text::report(&facts, paint::Paint::for_stdout()));
    if let Some(json) = json {
        json.write(&facts)?;
    }
    Ok(facts.passed)
}
