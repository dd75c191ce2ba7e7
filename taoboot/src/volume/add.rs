//! `taoboot add-volume`.

use std::{path::PathBuf, process::ExitCode};

use agent::unlock::CheckedHeader;
use anyhow::{Result, ensure};
use argh::FromArgs;
use serde_json::json;

use super::{
    passphrase, root_volume,
    sentences::{further_json, further_sentence},
    several,
};

/// Enrol further volumes with one that is enrolled already: the secret that opens that one then opens
/// them too, with a keyslot of their own. All are enrolled or none. No TPM is needed.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "add-volume",
    note = "/init opens a further volume that its configuration ([[volume]]) or rd.luks.uuid= names after the first.",
    example = "Let the secret of the root volume open a second disk:\n  {command_name} /dev/sdb1"
)]
pub struct AddVolume {
    /// the further LUKS2 volumes: block devices or image files
    #[argh(positional, arg_name = "device")]
    further: Vec<PathBuf>,
    /// the volume with the records (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// file with an existing passphrase of the volume with the records; given again: those of the
    /// further volumes, in their order, where they have others
    #[argh(option, arg_name = "file")]
    passphrase_file: Vec<PathBuf>,
    /// the same, under the name that systemd-cryptenroll has for it
    #[argh(option, arg_name = "file")]
    unlock_key_file: Vec<PathBuf>,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl AddVolume {
    pub fn run(self) -> Result<ExitCode> {
        ensure!(
            !self.further.is_empty(),
            "name the volumes that are to be opened with the secret of the one with the records"
        );
        let volume = root_volume::named_or_root(self.volume.as_deref())?;
        let mut all = vec![volume.clone()];
        all.extend(self.further.iter().cloned());
        several::refuse_twice(&all)?;
        for device in &all {
            CheckedHeader::read(device)?;
        }
        let files = passphrase::one_of(&self.passphrase_file, &self.unlock_key_file)?;
        let (enrolment, mut further) = several::begin(&volume, &self.further, files)?;
        let written = enrolment.add_further(&mut further)?;
        if self.json {
            let volumes = self.further.iter().zip(&further).zip(&written);
            let volumes: Vec<_> = volumes
                .map(|((device, further), written)| further_json(device, further.volume(), written))
                .collect();
            let report = json!({ "volume": volume, "further": volumes });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            for (device, written) in self.further.iter().zip(&written) {
                println!("{}", further_sentence(device, written));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
