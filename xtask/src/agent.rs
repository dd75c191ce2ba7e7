//! `cargo xtask agent`: the static programs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use argh::FromArgs;

use crate::{setup, step, workspace};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Examples of hosted programs: in the directory `examples` beside the programs.
const EXAMPLES: [&str; 2] = ["sealed-counter", "attested-hello"];

/// Builds the static programs: /init, taoboot, tao, examples of hosted programs. Prints their directory.
#[derive(FromArgs)]
#[argh(subcommand, name = "agent")]
pub struct Agent {}

impl Agent {
    /// Builds.
    pub fn run(self) -> Result<()> {
        build(&setup::for_build()?)?;
        println!("{}", directory()?.display());
        Ok(())
    }
}

/// Where the static programs are.
pub fn directory() -> Result<PathBuf> {
    Ok(workspace::target()?.join(TARGET).join("small"))
}

/// /init, built if it is not there.
pub fn default_path() -> Result<PathBuf> {
    let path = directory()?.join("init");
    if !path.is_file() {
        build(&setup::for_build()?)?;
    }
    Ok(path)
}

/// Builds what runs inside the machine. `prefix` holds the static C libraries.
pub fn build(prefix: &Path) -> Result<()> {
    let packages = [
        "-p",
        "taoboot-agent",
        "-p",
        "taoboot",
        "-p",
        "taoboot-tao-tools",
        "-p",
        "taoboot-tao",
        "--bins",
    ];
    let examples = EXAMPLES.iter().flat_map(|example| ["--example", example]);
    let what: Vec<&str> = packages.into_iter().chain(examples).collect();
    build_packages(prefix, &what)
}

/// Builds what only the tests put into their machines: the probe, and a second TPM.
pub fn build_for_guest(prefix: &Path) -> Result<()> {
    build_packages(
        prefix,
        &[
            "-p",
            "taoboot-guest",
            "--bin",
            "guest_probe",
            "--bin",
            "second_tpm",
        ],
    )
}

/// Builds the policy tools and the image builder, which run on the administrator's machine.
pub fn build_tools(prefix: &Path) -> Result<()> {
    build_packages(
        prefix,
        &[
            "-p",
            "taoboot-lcp",
            "-p",
            "taoboot-policy",
            "-p",
            "taoboot-mkinitramfs",
            "--bin",
            "lcp",
            "--bin",
            "tboot-policy",
            "--bin",
            "taoboot-image",
        ],
    )
}

/// Builds what the bench compares the agent with.
pub fn build_floor(prefix: &Path) -> Result<()> {
    build_packages(prefix, &["-p", "taoboot-guest", "--bin", "floor_init"])
}

fn build_packages(prefix: &Path, what: &[&str]) -> Result<()> {
    let root = workspace::root()?;
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    // crt-static makes them static; the remaps keep this machine's paths out of the programs.
    let flags = format!(
        "-C target-feature=+crt-static --remap-path-prefix={}=taoboot --remap-path-prefix={home}=cargo",
        root.display()
    );
    let mut cargo = cargo(prefix)?;
    // With --target the flags do not reach build scripts and procedural macros, which must stay dynamic.
    cargo
        .args([
            "build",
            "--locked",
            "--profile",
            "small",
            "--target",
            TARGET,
        ])
        .args(what)
        .env("RUSTFLAGS", flags);
    step::run(&format!("static programs ({})", what.join(" ")), &mut cargo)
}

/// cargo with the static C libraries in sight.
pub fn cargo(prefix: &Path) -> Result<Command> {
    let mut cargo = plain_cargo()?;
    cargo
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("PKG_CONFIG_ALL_STATIC", "1");
    Ok(cargo)
}

/// cargo, in the root.
pub fn plain_cargo() -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace::root()?)
        // Set by the `cargo run` that started us; they would describe the wrong package.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_PKG_NAME");
    Ok(cargo)
}
