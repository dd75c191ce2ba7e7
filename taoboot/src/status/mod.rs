//! `taoboot status`.

mod machine;
mod report;
mod report_text;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::{
    config::Config,
    forecast::verdict::Verdict,
    unlock::{CheckedHeader, deciding_pcrs, find_records},
};
use anyhow::{Result, bail};
use argh::FromArgs;

use crate::next_boot::next_system::{pin_objection, with_unknown_pins};
use crate::pins::{image_config, state::PinState};
use crate::volume::genuine::{self, Genuine};
use crate::{
    enroll::pcr_source,
    next_boot::{
        acpi_pin,
        host_key::HostKeyCheck,
        predictions::Source,
        verdict::{TpmState, verdict_of, with_host_key},
    },
    srk::pinned_srk,
    status::report::{Judges, StatusReport},
    volume::root_volume,
};

const EXIT_WOULD_NOT_OPEN: u8 = 1;

/// Show what is enrolled on this machine's volumes, and whether the present launch (or a given one) would open the
/// volume: exit code 0 if so, 1 if not.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "status",
    note = "On a booted machine the latch (PCR 15) is closed; that is expected, and is not reported as a difference."
)]
pub struct Status {
    /// the LUKS2 volume: a block device or an image file (default: the one under the root file
    /// system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// the TPM whose PCRs are compared (default device:/dev/tpmrm0)
    #[argh(option)]
    tcti: Option<String>,
    /// compare with the PCR values in this file instead; formats as for enroll
    #[argh(option, arg_name = "file")]
    expect: Option<PathBuf>,
    /// what `tboot-policy predict --all --json` printed: say for each entry of GRUB's menu
    /// whether it will unlock (default: predict, where /var/lib/taoboot/platform.json exists)
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// the configuration that images are built with, for a warning where this TPM is not pinned in
    /// it (default /etc/taoboot/image.toml)
    #[argh(option, default = "pinned_srk::CONFIG.into()", arg_name = "file")]
    config: PathBuf,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory")]
    root: Option<PathBuf>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Status {
    /// `None` where nothing can be predicted: the machine was not set up for it.
    fn next_boots(
        &self,
        header: &CheckedHeader,
        tpm: &TpmState,
        config: Option<&Config>,
    ) -> Result<Option<Vec<Verdict>>> {
        let source = Source {
            predictions: self.predictions.clone(),
            root: self.root.clone(),
            ..Source::default()
        };
        if !source.available() {
            return Ok(None);
        }
        let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
        let in_place = image_config::in_place(&self.config, root);
        let mut usable = Genuine::default().records(header, &self.socket, None);
        usable.retain(|(_, record)| {
            let mut configs = config
                .into_iter()
                .chain(in_place.as_ref().ok().and_then(Option::as_ref));
            configs.all(|config| pin_objection(config, record).is_none())
        });
        let entries = source.entries()?;
        let host_key = HostKeyCheck::of(config, &self.socket);
        let tables = acpi_pin::objection(config, Path::new(agent::boot::acpi::TABLES));
        let verdicts = entries.iter().map(|entry| {
            let verdict = with_host_key(verdict_of(entry, &usable, tpm), &host_key)
                .with_acpi_tables(tables.as_deref());
            with_unknown_pins(verdict, in_place.as_ref().err())
        });
        Ok(Some(verdicts.collect()))
    }

    pub fn run(self) -> Result<ExitCode> {
        let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
        let volume = root_volume::named_or_root_of(root, self.volume.as_deref())?;
        let header = CheckedHeader::read(&volume)?;
        let records = find_records(&header);
        let good: Vec<_> = records
            .iter()
            .filter_map(|(_, r)| r.as_ref().ok())
            .cloned()
            .collect();
        if self.expect.is_some() && self.tcti.is_some() {
            bail!("give only one of --expect and --tcti");
        }
        let tpm = TpmState::ask(self.tcti.as_deref().unwrap_or(crate::exit::DEFAULT_TCTI));
        // Values in a file may be another machine's: then its TPM is not this one.
        let (seen, judge) = match &self.expect {
            Some(file) => (Ok(pcr_source::read_file(file)?), None),
            None => (tpm.pcrs(deciding_pcrs(&good)), Some(&tpm)),
        };
        // As for the TPM: the values may be those of another machine's images.
        let config = judge.and_then(|_| pinned_srk::config(&self.config));
        let seen_here = seen.as_ref().ok();
        let told = genuine::told(&records, &self.socket);
        let judges = Judges {
            tpm: judge,
            config: config.as_ref(),
            told: &told,
        };
        let mut report = StatusReport::new(&header, &records, seen_here, &judges)?;
        report.entries = self.next_boots(&header, &tpm, config.as_ref())?;
        report.pins = config
            .as_ref()
            .map(|config| PinState::of(config, &self.config, root));
        report.pin_warning = judge
            .and_then(TpmState::srk)
            .and_then(|srk| pinned_srk::warning(&self.config, &srk));
        if self.volume.is_none() {
            let mut secrets: Vec<String> = good.iter().map(|r| r.secret_id().to_owned()).collect();
            secrets.dedup();
            report.machine = machine::others(root, &volume, &secrets, config.as_ref());
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        // What is enrolled has been shown; whether it would open cannot be told without PCRs.
        seen?;
        Ok(if report.would_open() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_WOULD_NOT_OPEN)
        })
    }
}
