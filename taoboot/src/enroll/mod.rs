//! `taoboot enroll`.

mod dry_run;
pub mod first_time;
pub mod output;
pub mod pcr_source;
mod required_pin;
mod swap_device;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    CheckedHeader, LaunchPcrs, PinKey, SwapSpec,
    enrolment::{EnrollRequest, Parent, Target, find_recovery_keys, new_secret_ends},
};
use anyhow::{Context as _, Result, bail};
use argh::FromArgs;
use commands::refuse_idle;
use tpm::{PcrSet, PcrValues, PolicySigner, Tpm as _, Tpm2};

use crate::{
    enroll::{
        dry_run::DryRun,
        output::{RecoveryKeyWish, Report},
    },
    pins::{self, Wish, in_use},
    policy_key,
    retire::rollback,
    srk::pinned_srk,
    time,
    volume::{passphrase, pin, several},
};

/// Approve one launch: add a keyslot and a record whose secret the TPM releases for the
/// given PCR values only. Records of other launches stay.
#[derive(FromArgs)]
#[argh(subcommand, name = "enroll")]
pub struct Enroll {
    /// the LUKS2 volume: a block device or an image file. Given again: a further volume that the
    /// same secret opens, with a keyslot of its own; all are enrolled or none
    #[argh(option, arg_name = "device")]
    volume: Vec<PathBuf>,
    /// all volumes that this machine needs: those under the root file system, /usr and swap, and
    /// those that /etc/crypttab marks with x-initrd.attach or initramfs; the first gets the records
    #[argh(switch)]
    all: bool,
    /// PCRs of the sha256 bank to seal to, 17,18,19 (the default) and any others; the latch
    /// PCR 15 is always added
    #[argh(option, default = "PcrSet::LAUNCH", arg_name = "list")]
    pcrs: PcrSet,
    /// the TPM was exchanged or cleared: seal to the one that is there, although the images' configuration
    /// or the volume's records know another
    #[argh(switch)]
    new_tpm: bool,
    /// file with the PCR values of the launch to approve: lines "17: 0x...", the output of
    /// tpm2_pcrread, or JSON {"sha256":{"17":"..."}}
    #[argh(option, arg_name = "file")]
    expect: Option<PathBuf>,
    /// approve the launch that this machine runs now
    #[argh(switch)]
    current: bool,
    /// approve every launch that this key signs (public key, PEM; see policy-key and approve)
    #[argh(option, arg_name = "file")]
    policy_key: Option<PathBuf>,
    /// let the approval end when the TPM's rollback counter is raised (`taoboot retire`); the
    /// counter is made if there is none
    #[argh(switch)]
    rollback_counter: bool,
    /// file with the password of the TPM's owner, if it has one, for making the counter
    #[argh(option, arg_name = "file")]
    owner_password_file: Option<PathBuf>,
    /// let the TPM ask for a PIN as well, which is typed here twice and at each boot; images need
    /// `[unlock] require = "tpm+pin"`
    #[argh(switch)]
    pin: bool,
    /// the same with the PIN in this file
    #[argh(option, arg_name = "file")]
    pin_file: Option<PathBuf>,
    /// make a new boot secret even if the volume has one: the Tao host then has other keys, and
    /// what hosted programs sealed is lost to them. Refused where the last record of the secret
    /// that the images in /boot pin would go
    #[argh(switch)]
    new_secret: bool,
    /// with --new-secret: also where that record goes. THE IMAGES IN /boot OPEN NOTHING THEN
    #[argh(switch)]
    force: bool,
    /// approve the launch with a new secret for the Tao host, although the volume is enrolled: in
    /// that launch the host has other keys, and what hosted programs sealed is lost to them
    /// (`taoboot reseal` on the running machine keeps it)
    #[argh(switch)]
    new_host_secret: bool,
    /// partition that becomes swap under a fresh random key at each boot, PARTUUID=... or
    /// /dev/...; WHAT IS ON IT IS LOST
    #[argh(option, arg_name = "partition")]
    swap: Option<String>,
    /// the TPM to seal to (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// file with an existing passphrase of the volume (default: standard input, with a prompt at a
    /// terminal). It is tried on further volumes too; where they have others, give the option once
    /// for each volume, in their order
    #[argh(option, arg_name = "file")]
    passphrase_file: Vec<PathBuf>,
    /// the same, under the name that systemd-cryptenroll has for it
    #[argh(option, arg_name = "file")]
    unlock_key_file: Vec<PathBuf>,
    /// say what would be written, and change nothing. Exit code 2 where it would be refused
    #[argh(switch)]
    dry_run: bool,
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
    /// the configuration that images are built with, beside which TPM and secret are pinned
    /// (default /etc/taoboot/image.toml)
    #[argh(option, default = "pinned_srk::CONFIG.into()", arg_name = "file")]
    config: PathBuf,
    /// where the root file system is mounted, with what the images in /boot pin (default /)
    #[argh(option, arg_name = "directory", default = "PathBuf::from(\"/\")")]
    root: PathBuf,
    /// pin this TPM and the secret for the next images (pins.toml beside --config), although the volume
    /// is not the one under this machine's root file system
    #[argh(switch)]
    pins: bool,
    /// do not pin them
    #[argh(switch)]
    no_pins: bool,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

/// Where the launch to approve comes from.
enum Source {
    Values(PcrValues),
    Current,
    Key(PolicySigner),
}

impl Enroll {
    pub fn run(self) -> Result<ExitCode> {
        self.carry_out(None, true).map(|()| ExitCode::SUCCESS)
    }

    /// Of `launch`, where the caller knows it already. With `tell` the result is printed.
    pub fn carry_out(self, launch: Option<LaunchPcrs>, tell: bool) -> Result<()> {
        if self.new_secret && self.new_host_secret {
            bail!(
                "give only one of --new-secret, which makes a new host secret as well, and --new-host-secret"
            );
        }
        if !self.new_secret {
            refuse_idle(&[("--force", self.force)], "without --new-secret")?;
        }
        if !self.rollback_counter {
            let password = ("--owner-password-file", self.owner_password_file.is_some());
            refuse_idle(&[password], "without --rollback-counter")?;
        }
        let recovery = self.recovery_key_wish()?;
        if self.dry_run {
            let file = self.recovery_key_file.is_some();
            let keys = [
                ("--recovery-key", self.recovery_key),
                ("--recovery-key-file", file),
            ];
            refuse_idle(&keys, "with --dry-run")?;
        }
        let pin_wish = match (self.pins, self.no_pins) {
            (true, true) => bail!("give only one of --pins and --no-pins"),
            (true, false) => Wish::Always,
            (false, true) => Wish::Never,
            (false, false) => Wish::OfRoot,
        };
        let swap = self
            .swap
            .as_deref()
            .map(str::parse::<SwapSpec>)
            .transpose()?;
        let components = pcr_source::components(&self.component)?;
        let volumes = several::named_or_needed(&self.volume, self.all)?;
        let (volume, others) = volumes
            .split_first()
            .context("name a volume with --volume")?;
        let files = passphrase::one_of(&self.passphrase_file, &self.unlock_key_file)?;
        let header = CheckedHeader::read(volume)?;
        let other_headers: Vec<CheckedHeader> = others
            .iter()
            .map(|other| CheckedHeader::read(other))
            .collect::<Result<_, _>>()?;
        let swap = swap
            .map(|swap| swap_device::resolve(swap, volume))
            .transpose()?;
        let wanted = pcr_source::without_latch(self.pcrs)?;
        let source = match launch {
            Some(launch) => Source::Values(PcrValues::clone(&launch)),
            None => self.source(wanted)?,
        };
        let pin = pin::wished(self.pin, self.pin_file.as_deref())?;
        required_pin::check(&self.config, pin.is_some())?;
        let mut tpm = Tpm2::open(&self.tcti)?;
        let request = EnrollRequest {
            target: self.target(source, wanted, &mut tpm)?,
            parent: self.parent(),
            label: self.label.clone(),
            swap,
            components,
            created: time::now(),
            fresh_secret: self.new_secret,
            fresh_host_secret: self.new_host_secret,
        };
        if self.dry_run {
            self.keep_pinned(volume, |secret| {
                Ok(new_secret_ends(&header, &request.target, secret)?)
            })?;
            return DryRun {
                volume: &header,
                others: &other_headers,
                files,
                request: &request,
                with_pin: pin.is_some(),
                makes_counter: self.rollback_counter && !rollback::is_there(&mut tpm)?,
                pins: dry_run::pins(&self.config, volume, pin_wish).as_deref(),
                json: self.json,
            }
            .run(&mut tpm);
        }
        let key = pin.as_ref().map(PinKey::fresh).transpose()?;
        let (enrolment, mut further) = several::begin(volume, others, files)?;
        let mut enrolment = enrolment.with_pin(key);
        self.keep_pinned(volume, |secret| {
            Ok(enrolment.new_secret_ends(&request.target, secret)?)
        })?;
        let (enrolled, written) = enrolment.enroll_with(&mut tpm, request.clone(), &mut further)?;
        let srk = tpm.srk()?.name;
        let pinned = match &enrolled.secret_id {
            Some(secret) => pins::write(&self.config, volume, &srk, secret, pin_wish),
            None => Ok(None),
        };
        if let Some(warning) = pinned_srk::warning(&self.config, &srk) {
            eprintln!("taoboot: warning: {warning}");
        }
        for module in header.image_modules() {
            eprintln!(
                "taoboot: note: the volume's cipher needs the kernel module {module}: images must be built with --module {module} (TAOBOOT_IMAGE_OPTIONS in /etc/default/taoboot)"
            );
        }
        required_pin::say_weaker(volume, pin.is_some())?;
        let mut report = Report::new(
            volume,
            enrolment.volume(),
            enrolled,
            &request,
            pin.is_some(),
        );
        report.add_further(others, &further, &written);
        if tell && !self.json {
            report.print();
        }
        let has_one = !find_recovery_keys(&header).is_empty();
        let recovery_keyslot = output::make_recovery_key(&mut enrolment, recovery, has_one)
            .context("the launch is enrolled, but there is no new recovery key")?;
        let pinned = pinned.context("the launch is enrolled")?;
        if self.json {
            report.print_json(recovery_keyslot, pinned.as_deref())?;
        }
        Ok(())
    }

    /// A new secret takes the place of the old one's records for the same launch.
    fn keep_pinned(&self, volume: &Path, ends: impl Fn(&str) -> Result<bool>) -> Result<()> {
        if !self.new_secret || self.force {
            return Ok(());
        }
        in_use::keep(volume, &self.config, &self.root, ends)
    }

    /// What can be read before the TPM is asked.
    fn source(&self, wanted: PcrSet) -> Result<Source> {
        match (&self.expect, self.current, &self.policy_key) {
            (Some(file), false, None) => Ok(Source::Values(pcr_source::from_file(file, wanted)?)),
            (None, true, None) => Ok(Source::Current),
            (None, false, Some(_)) if self.rollback_counter => bail!(
                "--rollback-counter does not go with --policy-key: each signed launch has its own limit (taoboot policy-key sign --limit)"
            ),
            (None, false, Some(file)) => Ok(Source::Key(policy_key::public_key(file)?)),
            _ => bail!(
                "say which launch to approve: either --expect FILE, --current or --policy-key FILE"
            ),
        }
    }

    /// Nothing is sealed to another TPM than the known one, whoever answers on its bus.
    fn parent(&self) -> Parent {
        match pinned_srk::config(&self.config).and_then(|config| config.srk_name) {
            _ if self.new_tpm => Parent::Present,
            Some(name) => Parent::Pinned(name),
            None => Parent::OfRecords(None),
        }
    }

    fn target(&self, source: Source, wanted: PcrSet, tpm: &mut Tpm2) -> Result<Target> {
        let expected = match source {
            Source::Key(key) => return Ok(Target::PolicyKey(key)),
            Source::Values(values) => values,
            Source::Current => pcr_source::from_tpm(tpm, wanted)?,
        };
        let expected = pcr_source::of_a_launch(expected, self.expect.as_deref())?;
        let counter = if self.rollback_counter && self.dry_run {
            Some(rollback::limit_to_be(tpm)?)
        } else if self.rollback_counter {
            let password = passphrase::owner(self.owner_password_file.as_deref())?;
            Some(rollback::present_limit(tpm, &password)?)
        } else {
            None
        };
        Ok(Target::Launch(expected, counter))
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
