//! `cargo xtask bench`: taoboot against what people use today, measured in the same run.
//!
//! Absolute times say little here (an emulated CPU, other work on the host), so every figure
//! stands beside a peer's or a floor's from the same run, and a target is a ratio where it
//! can be one. Boots of the peers alternate with ours; the medians are compared.

mod boot;
mod distributions;
mod files;
mod image;
mod image_peers;
mod initramfs;
mod lcp;
mod machines;
mod memory;
mod peer;
mod peer_secret;
mod predict;
mod slow_tpm;
mod table;
mod tao;
mod timing;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use table::Table;

const PARTS: [&str; 9] = [
    "image",
    "boot",
    "machines",
    "distributions",
    "memory",
    "lcp",
    "predict",
    "tao",
    "tpm",
];

/// Measure image building and booting against other tools on this machine.
#[derive(FromArgs)]
struct Arguments {
    /// only this part: image, boot, machines, tpm, memory, lcp, predict or tao; or distributions, which is not
    /// measured otherwise
    #[argh(positional)]
    part: Option<String>,
    /// how often each boot is measured (default 3); the median counts
    #[argh(option, default = "3")]
    runs: u32,
    /// write the figures as JSON to this file as well
    #[argh(option, arg_name = "file")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&argh::from_env()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: a target was missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and says whether every target was met.
fn run(arguments: &Arguments) -> Result<bool> {
    let part = arguments.part.as_deref();
    if let Some(other) = part.filter(|part| !PARTS.contains(part)) {
        bail!(
            "there is no part {other:?}: the parts are {}",
            PARTS.join(", ")
        );
    }
    if arguments.runs == 0 {
        bail!("--runs 0 measures nothing: give 1 or more");
    }
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let mut table = Table::default();
    if wanted("image") {
        image::measure(&mut table).context("image")?;
    }
    if wanted("boot") {
        boot::measure(&mut table, arguments.runs).context("boot")?;
    }
    if wanted("machines") {
        machines::measure(&mut table, arguments.runs).context("machines")?;
    }
    if wanted("tpm") {
        slow_tpm::measure(&mut table).context("tpm")?;
    }
    // An archive of packages and minutes of boots: by name only.
    if part == Some("distributions") {
        distributions::measure(&mut table, arguments.runs).context("distributions")?;
    }
    if wanted("memory") {
        memory::measure(&mut table).context("memory")?;
    }
    if wanted("lcp") {
        lcp::measure(&mut table).context("lcp")?;
    }
    if wanted("predict") {
        predict::measure(&mut table).context("predict")?;
    }
    if wanted("tao") {
        tao::measure(&mut table).context("tao")?;
    }
    print!("{table}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, format!("{:#}\n", table.json()))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(table.all_met())
}
