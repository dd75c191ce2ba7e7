//! `taoboot check-next-boot`.

pub mod acpi_pin;
pub mod host_key;
pub mod menu;
pub mod next_system;
mod opened;
pub mod predictions;
pub mod verdict;
pub mod why;

use std::{path::PathBuf, process::ExitCode};

use agent::{
    forecast::verdict::{Answer, NextBoot, Verdict},
    unlock::CheckedHeader,
};
use anyhow::Result;
use argh::FromArgs;
use serde::Serialize;

use crate::{
    next_boot::{
        next_system::NextSystem,
        predictions::Source,
        verdict::{TpmState, verdict_of, with_host_key},
    },
    pins::state::PinState,
    trust::known::Known,
    volume::{genuine::Genuine, root_volume},
};

const EXIT_WILL_ASK: u8 = 1;
const EXIT_WILL_STOP: u8 = 3;

/// What is printed as JSON: the verdicts, and what the next images pin.
#[derive(Serialize)]
struct Printed<'p> {
    #[serde(flatten)]
    answer: &'p NextBoot,
    pins: Option<PinState>,
}

/// Say for each entry of GRUB's menu whether the machine will unlock itself with it. Exit code
/// 0: the default entry will, 1: it will ask for a passphrase, 2: that cannot be told, 3: /init or
/// systemd will stop.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "check-next-boot",
    note = "The entry that GRUB boots by default is marked with *."
)]
pub struct CheckNextBoot {
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// what `tboot-policy predict --all --json` printed, - for standard input (default: run it)
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// record of the platform (default /var/lib/taoboot/platform.json)
    #[argh(option, arg_name = "file")]
    platform: Option<PathBuf>,
    /// tboot's policy in the TPM (default /etc/taoboot/vlp.pol, or the built-in one)
    #[argh(option, arg_name = "file")]
    policy: Option<PathBuf>,
    /// grub.cfg (default /boot/grub/grub.cfg)
    #[argh(option, arg_name = "file")]
    grub_config: Option<PathBuf>,
    /// PATH=FILE: what will stand at PATH lies at FILE now; may be repeated
    #[argh(option, arg_name = "path=file")]
    replace: Vec<String>,
    /// the configuration that the images are made with (default /etc/taoboot/image.toml)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    /// where the root file system is mounted, with its crypttab and fstab (default /)
    #[argh(option, arg_name = "directory")]
    root: Option<PathBuf>,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl CheckNextBoot {
    pub fn run(self) -> Result<ExitCode> {
        let volume = root_volume::named_or_root(self.volume.as_deref())?;
        let root = self.root.clone().unwrap_or_else(|| "/".into());
        let source = Source {
            root: self.root,
            predictions: self.predictions,
            platform: self.platform,
            policy: self.policy,
            grub_config: self.grub_config,
            replace: self.replace,
        };
        let header = CheckedHeader::read(&volume)?;
        let entries = source.entries()?;
        let system = NextSystem::read(&header, &root, self.config.as_deref())?;
        // What stands in the header anybody may have written.
        let records = Genuine::default().records(&header, &self.socket, None);
        let records = system.pinned(records);
        let tpm = TpmState::ask(&self.tcti);
        if let Some(silent) = &tpm.silent {
            eprintln!("taoboot: only the records are judged, the TPM could not be asked: {silent}");
        }
        if source.reads_boot() && !menu::is_kept(&root) {
            eprintln!(
                "taoboot: the menu in /boot is not the one that was generated last: run /usr/lib/taoboot/kernel refresh if you did not change it"
            );
        }
        let host_key = system.host_key(&self.socket);
        let tables = system.acpi_tables();
        let mut known = Known::read(&root)?;
        let verdicts: Vec<Verdict> = entries
            .iter()
            .map(|entry| {
                let verdict = verdict_of(entry, &records, &tpm);
                let verdict = with_host_key(verdict, &host_key).with_acpi_tables(tables.as_deref());
                let verdict = system.with_unknown_pins(verdict);
                let opens = records.iter().find(|(id, _)| Some(*id) == verdict.record);
                let verdict = verdict.with_forecast(system.forecast(entry, opens.map(|(_, r)| r)));
                if entry.tboot && !entry.files.is_empty() {
                    verdict.with_unknown(known.objections(entry))
                } else {
                    verdict
                }
            })
            .collect();
        let answer = NextBoot {
            volume,
            entries: verdicts,
        };
        if self.json {
            let pins = system.pins();
            let printed = Printed {
                answer: &answer,
                pins,
            };
            println!("{}", serde_json::to_string_pretty(&printed)?);
        } else {
            for verdict in &answer.entries {
                print!("{verdict}");
            }
            if let Some(pins) = system.pins() {
                println!("{pins}");
            }
        }
        let default = answer.entries.iter().find(|verdict| verdict.default);
        Ok(match default.map(|verdict| verdict.verdict) {
            Some(Answer::Unlock) => ExitCode::SUCCESS,
            Some(Answer::Ask) => ExitCode::from(EXIT_WILL_ASK),
            Some(Answer::Stop) => ExitCode::from(EXIT_WILL_STOP),
            Some(Answer::Unknown) | None => ExitCode::from(crate::exit::EXIT_FAILURE),
        })
    }
}
