//! `taoboot wipe`.

use std::{path::PathBuf, process::ExitCode};

use agent::unlock::{
    TokenId,
    enrolment::{WipeRequest, wipe},
};
use anyhow::{Result, bail};
use argh::FromArgs;
use serde_json::json;

/// Remove records together with their keyslots. No passphrase is needed.
#[derive(FromArgs)]
#[argh(subcommand, name = "wipe")]
pub struct Wipe {
    /// the LUKS2 volume: a block device or an image file
    #[argh(option, arg_name = "device")]
    volume: PathBuf,
    /// number of the record, as `taoboot status` shows it
    #[argh(option, arg_name = "number")]
    record: Option<u32>,
    /// all records
    #[argh(switch)]
    all: bool,
    /// also when no other keyslot remains: THE DATA CAN THEN NEVER BE READ AGAIN
    #[argh(switch)]
    force: bool,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Wipe {
    pub fn run(self) -> Result<ExitCode> {
        let request = match (self.record, self.all) {
            (Some(number), false) => WipeRequest::Records(vec![TokenId(number)]),
            (None, true) => WipeRequest::All,
            _ => bail!("say what to remove: either --record NUMBER or --all"),
        };
        let wiped = wipe(&self.volume, request, self.force)?;
        if self.json {
            println!(
                "{}",
                json!({ "records": wiped.tokens, "keyslots": wiped.keyslots, "spared": wiped.spared })
            );
            return Ok(ExitCode::SUCCESS);
        }
        let list = |numbers: Vec<String>| {
            if numbers.is_empty() {
                "none".to_owned()
            } else {
                numbers.join(", ")
            }
        };
        println!(
            "{}: removed records: {}; keyslots: {}",
            self.volume.display(),
            list(wiped.tokens.iter().map(ToString::to_string).collect()),
            list(wiped.keyslots.iter().map(ToString::to_string).collect())
        );
        for keyslot in wiped.spared {
            eprintln!(
                "taoboot: a record named keyslot {keyslot}, which taoboot did not make: it was left alone"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
