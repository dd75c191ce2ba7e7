//! The note that a launch has booted well: `taoboot booted` makes it, `taoboot retire` wants it.

use std::{fs, io, path::Path, process::ExitCode};

use agent::unlock::LaunchPcrs;
use anyhow::{Context as _, Result};
use argh::FromArgs;
use serde::{Deserialize, Serialize};
use tao::state_file;
use tpm::{Bank, PcrIndex, PcrSet, PcrValues, Tpm as _, Tpm2};

use crate::time;

const FOLDER: &str = "/var/lib/taoboot";
const NOTE: &str = "/var/lib/taoboot/booted.json";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Note that the running launch has booted well. A service does this late in each boot;
/// `taoboot retire` refuses without it.
#[derive(FromArgs)]
#[argh(subcommand, name = "booted")]
pub struct Booted {
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
}

#[derive(Serialize, Deserialize)]
struct Note {
    boot_id: String,
    time: u64,
    pcrs: Vec<(PcrIndex, String)>,
}

impl Booted {
    pub fn run(self) -> Result<ExitCode> {
        let values = running(&self.tcti)?;
        let note = Note {
            boot_id: boot_id()?,
            time: time::now(),
            pcrs: listed(&values),
        };
        fs::create_dir_all(FOLDER).with_context(|| format!("cannot make {FOLDER}"))?;
        state_file::replace_with_mode(Path::new(NOTE), &serde_json::to_vec(&note)?, 0o644)
            .with_context(|| format!("cannot write {NOTE}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// PCR 17, 18 and 19 of the running launch.
pub fn running(tcti: &str) -> Result<LaunchPcrs> {
    let values = Tpm2::open(tcti)?.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
    LaunchPcrs::new(values).context("PCR 17-19 do not show a measured launch")
}

/// Was it noted in this boot that this launch has booted well?
/// The note is on the root file system that is mounted at `root`.
pub fn is_noted(root: &Path, values: &PcrValues) -> Result<bool> {
    let path = root.join(NOTE.trim_start_matches('/'));
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let note: Note = serde_json::from_slice(&text)
        .with_context(|| format!("{NOTE} is damaged: remove it and run `taoboot booted`"))?;
    Ok(note.boot_id == boot_id()? && note.pcrs == listed(values))
}

fn listed(values: &PcrValues) -> Vec<(PcrIndex, String)> {
    let pairs = values.iter();
    pairs
        .map(|(pcr, value)| (pcr, hex::encode(value)))
        .collect()
}

fn boot_id() -> Result<String> {
    let text = fs::read_to_string(BOOT_ID).with_context(|| format!("cannot read {BOOT_ID}"))?;
    Ok(text.trim().to_owned())
}
