//! The note that a launch has booted well: `taoboot booted` makes it, `taoboot retire` wants it.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
};

use agent::unlock::LaunchPcrs;
use anyhow::{Context as _, Result};
use argh::FromArgs;
use serde::{Deserialize, Serialize};
use tpm::{Bank, PcrSet, PcrValues, Tpm as _, Tpm2};

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
    pcrs: Vec<(u8, String)>,
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
        replace(Path::new(NOTE), &serde_json::to_vec(&note)?)
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
    let Ok(text) = fs::read(root.join(NOTE.trim_start_matches('/'))) else {
        return Ok(false);
    };
    let note: Note = serde_json::from_slice(&text)
        .with_context(|| format!("{NOTE} is damaged: remove it and run `taoboot booted`"))?;
    Ok(note.boot_id == boot_id()? && note.pcrs == listed(values))
}

fn listed(values: &PcrValues) -> Vec<(u8, String)> {
    let pairs = values.iter();
    pairs
        .map(|(pcr, value)| (pcr.get(), hex::encode(value)))
        .collect()
}

fn boot_id() -> Result<String> {
    let text = fs::read_to_string(BOOT_ID).with_context(|| format!("cannot read {BOOT_ID}"))?;
    Ok(text.trim().to_owned())
}

/// The old note or the new one, whatever happens.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
