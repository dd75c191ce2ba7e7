//! `taoboot pin set`.

use std::{path::PathBuf, process::ExitCode};

use agent::reseal::{self, Confidential, PinChange, PinProof, Question, Reply};
use anyhow::{Result, bail};
use argh::FromArgs;

use crate::volume::pin;

/// Set the first PIN: until the next boot the resident agent seals with it for every launch to come. The
/// records that are there stay as they are. No passphrase is needed, and the Tao host keeps its keys.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "set",
    example = "Then, with [unlock] require = \"tpm+pin\" in /etc/taoboot/image.toml:\n  {command_name} && /usr/lib/taoboot/kernel refresh"
)]
pub struct Set {
    /// file with the PIN (default: it is asked for, twice)
    #[argh(option, arg_name = "file")]
    new_pin_file: Option<PathBuf>,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
}

impl Set {
    pub fn run(self) -> Result<ExitCode> {
        // Before a person types anything.
        reseal::ask(&self.socket, &Question::Which)?;
        let pin = pin::new(self.new_pin_file.as_deref())?;
        let question = Question::ChangePin(Box::new(PinChange {
            proof: PinProof::First,
            new_pin: Confidential::of(pin.as_bytes()),
            records: Vec::new(),
        }));
        match reseal::ask(&self.socket, &question)? {
            Reply::Records(none) if none.is_empty() => {
                println!(
                    "the next records ask for the PIN: build images with [unlock] require = \"tpm+pin\" now, before the machine restarts"
                );
                Ok(ExitCode::SUCCESS)
            }
            _ => bail!("the resident agent answered something else"),
        }
    }
}
