//! `taoboot enroll`.

use std::{path::PathBuf, process::ExitCode};

use agent::unlock::{
    SwapSpec, VolumeHeader,
    enrolment::{EnrollRequest, Enrolment, EnrolmentError, find_recovery_keys},
};
use anyhow::{Context as _, Result, bail};
use argh::FromArgs;
use tpm::{PcrSet, Tpm2};

use crate::{
    enroll_output::{self, RecoveryKeyWish, Report},
    passphrase::{self, Passphrase},
    pcr_source, swap_device, time,
};

/// Approve one launch: add a keyslot and a record whose secret the TPM releases for the
/// given PCR values only. Records of other launches stay.
#[derive(FromArgs)]
#[argh(subcommand, name = "enroll")]
pub struct Enroll {
    /// the LUKS2 volume: a block device or an image file
    #[argh(option, arg_name = "device")]
    volume: PathBuf,
    /// PCRs of the sha256 bank to seal to, such as 17,18,19 (the default); the latch PCR 15
    /// is always added
    #[argh(option, default = "PcrSet::LAUNCH", arg_name = "list")]
    pcrs: PcrSet,
    /// file with the PCR values of the launch to approve: lines "17: 0x...", the output of
    /// tpm2_pcrread, or JSON {"sha256":{"17":"..."}}
    #[argh(option, arg_name = "file")]
    expect: Option<PathBuf>,
    /// approve the launch that this machine runs now
    #[argh(switch)]
    current: bool,
    /// partition that becomes swap under a fresh random key at each boot, PARTUUID=... or
    /// /dev/...; WHAT IS ON IT IS LOST
    #[argh(option, arg_name = "partition")]
    swap: Option<String>,
    /// the TPM to seal to (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::DEFAULT_TCTI.into()")]
    tcti: String,
    /// file with an existing passphrase of the volume; otherwise standard input if that is
    /// no terminal, otherwise asked for
    #[argh(option, arg_name = "file")]
    passphrase_file: Option<PathBuf>,
    /// a note for people, such as the kernel's version
    #[argh(option, default = "String::new()", arg_name = "text")]
    label: String,
    /// what is measured into a PCR, as 18=TEXT, for the sentence that names what differs; may
    /// be given for each PCR
    #[argh(option, arg_name = "pcr=text")]
    component: Vec<String>,
    /// make a recovery key and print it once, without asking
    #[argh(switch)]
    recovery_key: bool,
    /// make a recovery key and write it to this new file
    #[argh(option, arg_name = "file")]
    recovery_key_file: Option<PathBuf>,
    /// do not make a recovery key, do not ask
    #[argh(switch)]
    no_recovery_key: bool,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Enroll {
    pub fn run(self) -> Result<ExitCode> {
        let recovery = self.recovery_key_wish()?;
        let swap = self
            .swap
            .as_deref()
            .map(str::parse::<SwapSpec>)
            .transpose()?;
        let components = pcr_source::components(&self.component)?;
        let header = VolumeHeader::read(&self.volume)?;
        header.check()?;
        let swap = swap
            .map(|swap| swap_device::resolve(swap, &self.volume))
            .transpose()?;
        let wanted = pcr_source::without_latch(self.pcrs)?;
        let given = match (&self.expect, self.current) {
            (Some(file), false) => Some(pcr_source::from_file(file, wanted)?),
            (None, true) => None,
            _ => bail!("say which launch to approve: either --expect FILE or --current"),
        };
        let mut tpm = Tpm2::open(&self.tcti)?;
        let expected = match given {
            Some(values) => values,
            None => pcr_source::from_tpm(&mut tpm, wanted)?,
        };
        pcr_source::refuse_no_launch(&expected, self.expect.as_deref())?;
        let request = EnrollRequest {
            expected,
            label: self.label.clone(),
            swap,
            components,
            created: time::now(),
        };
        let existing = passphrase::existing(self.passphrase_file.as_deref(), &self.volume)?;
        let mut enrolment = self.begin(&existing)?;
        for leftover in enrolment.removed_leftovers() {
            eprintln!("{}", enroll_output::leftover_sentence(leftover));
        }
        let enrolled = enrolment.enroll(&mut tpm, request.clone())?;
        let report = Report::new(&self.volume, enrolment.volume(), enrolled, &request);
        if !self.json {
            report.print();
        }
        let has_one = !find_recovery_keys(&header).is_empty();
        let recovery_keyslot = enroll_output::make_recovery_key(&mut enrolment, recovery, has_one)
            .context("the launch is enrolled, but there is no new recovery key")?;
        if self.json {
            report.print_json(recovery_keyslot)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn begin(&self, existing: &Passphrase) -> Result<Enrolment, EnrolmentError> {
        let begun = Enrolment::begin(&self.volume, existing.without_newline());
        match begun {
            // A key file may really end with a newline.
            Err(EnrolmentError::Passphrase(_)) if existing.ends_with_newline() => {
                Enrolment::begin(&self.volume, existing.whole())
            }
            other => other,
        }
    }

    fn recovery_key_wish(&self) -> Result<RecoveryKeyWish> {
        match (
            self.recovery_key,
            &self.recovery_key_file,
            self.no_recovery_key,
        ) {
            (true, None, false) if self.json => {
                bail!("--json and --recovery-key do not go together: use --recovery-key-file FILE")
            }
            (true, None, false) => Ok(RecoveryKeyWish::Print),
            (false, Some(file), false) => Ok(RecoveryKeyWish::File(file.clone())),
            (false, None, true) => Ok(RecoveryKeyWish::No),
            (false, None, false) if self.json => Ok(RecoveryKeyWish::No),
            (false, None, false) => Ok(RecoveryKeyWish::Ask),
            _ => {
                bail!("give only one of --recovery-key, --recovery-key-file and --no-recovery-key")
            }
        }
    }
}
