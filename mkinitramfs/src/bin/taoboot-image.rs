//! `taoboot-image`: the initramfs builder and viewer as an installed program. The same as
//! `cargo xtask image`, with the places that a package installs to as defaults.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

use std::{path::PathBuf, process::ExitCode};

use mkinitramfs::image::ImageCommand;

/// The agent as the package installs it.
const AGENT: &str = "/usr/lib/taoboot/init";
/// The measured config, the administrator's.
const CONFIG: &str = "/etc/taoboot/image.toml";

fn main() -> ExitCode {
    let mut command: ImageCommand = commands::from_env();
    if command.needs_agent() {
        command.set_agent(PathBuf::from(AGENT));
    }
    if command.needs_config() {
        command.set_config(PathBuf::from(CONFIG));
    }
    commands::output::finish(match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taoboot-image: {}", commands::sentence(error.chain()));
            ExitCode::FAILURE
        }
    })
}
