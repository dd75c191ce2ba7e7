//! `taoboot why`: `tboot-policy launch-log`, where one looks for it first.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use argh::FromArgs;

use crate::next_boot::predictions::beside_myself;

/// Say why the last launch was measured, or was not: from TXT's registers, or from the text of
/// txt-stat or tboot's serial output. Exit code 0: it was a measured launch, 1 or 2: it was none, or
/// that cannot be told.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "why",
    note = "It runs `tboot-policy launch-log`; see tboot-policy(8)."
)]
pub struct Why {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// what txt-stat printed, or a capture of tboot's serial output (default: this machine's
    /// registers)
    #[argh(positional)]
    file: Option<PathBuf>,
}

impl Why {
    pub fn run(self) -> Result<ExitCode> {
        let program = beside_myself("tboot-policy");
        let mut command = Command::new(&program);
        command.arg("launch-log");
        if self.json {
            command.arg("--json");
        }
        if let Some(file) = &self.file {
            // A name that begins with a hyphen is a file's as well.
            command.arg("--").arg(file);
        }
        let status = command.status();
        let status = status.with_context(|| format!("cannot start {}", program.display()))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::from(crate::exit::EXIT_FAILURE), ExitCode::from))
    }
}
