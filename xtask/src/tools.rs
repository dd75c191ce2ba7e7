//! `cargo xtask tools`: the policy tools and the image builder, as static programs.

use anyhow::Result;
use argh::FromArgs;

use crate::{agent, setup};

/// Builds lcp, tboot-policy and taoboot-image as static programs. Prints their directory.
#[derive(FromArgs)]
#[argh(subcommand, name = "tools")]
pub struct Tools {}

impl Tools {
    /// Builds.
    pub fn run(self) -> Result<()> {
        agent::build_tools(&setup::for_build()?)?;
        println!("{}", agent::directory()?.display());
        Ok(())
    }
}
