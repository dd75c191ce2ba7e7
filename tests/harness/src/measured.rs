//! The launch of the files on a boot disk, by tboot's rules, ready for the proxy to play.
//!
//! The computation is that of the model (`tests/launch-model`), which shares no code with
//! what predicts PCRs. Volumes are sealed to the prediction ([`predicted`]): a boot shows that it
//! is right. A test changes the launch ([`Launch`] is plain data) to play an attacker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use launch_model::{Boot, Event, Module, Platform};
use tboot_policy::{
    platform::PlatformRecord,
    predict::{Baseline, Launching, predict},
    tboot::Tboot,
    vlp::Policy,
};
use tpm::Bank;

use crate::boot_files::BootFiles;
use crate::disk::boot::Firmware;
use crate::launch::{Extend, Launch};

/// The launch of `files` under the verified launch policy `vlp` (`None`: tboot's own
/// default), on the simulated platform.
///
/// # Errors
/// A file cannot be read or hashed, or tboot would halt: there is no launch to play then.
pub fn launch_of(files: &BootFiles, firmware: Firmware, vlp: Option<Policy>) -> Result<Launch> {
    let Some(tboot) = &files.tboot else {
        bail!("a boot without tboot has no measured launch");
    };
    let module = |name: &str, cmdline: String, file: &Path| -> Result<Module> {
        Ok(Module {
            name: name.to_owned(),
            cmdline: cmdline.into(),
            file: read(file)?,
        })
    };
    let cmdline = files.measured_cmdline(firmware == Firmware::Efi);
    let boot = Boot {
        tboot: read(tboot)?,
        tboot_cmdline: files.tboot_cmdline.clone().into_bytes(),
        modules: vec![
            module("vmlinuz", cmdline, &files.kernel)?,
            module("initramfs", String::new(), &files.initramfs)?,
        ],
        vlp: vlp.map(|policy| policy.to_bytes()),
        platform: Platform::simulated(),
    };
    let computed = launch_model::launch(&boot).context("cannot compute the launch")?;
    ensure!(
        !computed.halts,
        "tboot would not boot these files: {:?}",
        computed.complaints
    );
    // HASH_START, the first event, is the digest of the hash data.
    let extends = computed.events.iter().skip(1).map(extend).collect();
    Ok(Launch {
        hash_data: computed.hash_data,
        extends,
    })
}

/// PCR 17, 18 and 19 of the same boot in the SHA-256 bank, hex, as `tboot-policy` predicts them
/// from the record of the simulated platform.
///
/// # Errors
/// A file cannot be read, or nothing can be predicted.
pub fn predicted(
    files: &BootFiles,
    firmware: Firmware,
    vlp: Policy,
) -> Result<BTreeMap<u8, String>> {
    use tboot_policy::module::Module;

    let tboot = files.tboot.as_ref();
    let tboot = tboot.context("a boot without tboot has no measured launch")?;
    let cmdline = files.measured_cmdline(firmware == Firmware::Efi);
    let launching = Launching {
        tboot_name: "tboot.gz".to_owned(),
        tboot: Tboot::parse(&read(tboot)?)?,
        tboot_cmdline: files.tboot_cmdline.clone().into_bytes(),
        modules: vec![
            Module::new("vmlinuz", cmdline, read(&files.kernel)?),
            Module::new("initramfs", "", read(&files.initramfs)?),
        ],
        vlp: Some(vlp),
        lcp: None,
        left_out: Vec::new(),
    };
    let platform = Baseline::from_platform(&PlatformRecord::simulated());
    let prediction = predict(&platform, &launching)?;
    let values = &prediction.sealable(Bank::Sha256)?.new;
    Ok(values
        .iter()
        .map(|(pcr, value)| (pcr.get(), hex::encode(value)))
        .collect())
}

fn extend(event: &Event) -> Extend {
    Extend {
        locality: event.locality,
        pcr: event.pcr,
        digests: event
            .digests
            .iter()
            .map(|(bank, digest)| (bank.number(), digest.clone()))
            .collect(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
