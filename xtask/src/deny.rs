//! `cargo xtask deny`: advisories, licences and sources of what is linked (deny.toml).

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, programs, step};

/// Asks cargo-deny about advisories, licences and sources of all dependencies. Needs the network, and
/// `cargo install --locked cargo-deny`.
#[derive(FromArgs)]
#[argh(subcommand, name = "deny")]
pub struct Deny {}

impl Deny {
    /// Asks.
    pub fn run(self) -> Result<()> {
        programs::need(
            "cargo-deny",
            "install it with `cargo install --locked cargo-deny`",
        )?;
        let mut cargo = agent::plain_cargo()?;
        step::run_visibly("cargo deny", cargo.args(["deny", "--locked", "check"]))
    }
}
