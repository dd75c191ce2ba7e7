//! The launch of the files on a boot disk, by tboot's rules, ready for the proxy to play.
//!
//! The computation is that of `tboot-policy`, the same that predicts PCRs for a real
//! machine. A test changes the result ([`Launch`] is plain data) to play an attacker.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tboot_policy::launch::{Event, LaunchInput, event_type};
use tboot_policy::module::Module;
use tboot_policy::platform::PlatformRecord;
use tboot_policy::vlp::Policy;
use tpm::Bank;

use crate::boot_files::BootFiles;
use crate::disk::boot::Firmware;
use crate::launch::{Extend, Launch, SHA1, SHA256, SHA384};

/// The launch of `files` under the verified launch policy `vlp` (`None`: tboot's own
/// default), on the simulated platform.
///
/// # Errors
/// A file cannot be read or hashed, or tboot would halt: there is no launch to play then.
pub fn launch_of(files: &BootFiles, firmware: Firmware, vlp: Option<Policy>) -> Result<Launch> {
    let Some(tboot) = &files.tboot else {
        bail!("a boot without tboot has no measured launch");
    };
    let input = LaunchInput {
        tboot: read(tboot)?,
        tboot_cmdline: files.tboot_cmdline.clone().into_bytes(),
        modules: vec![
            Module::new(
                "vmlinuz",
                files.measured_cmdline(firmware == Firmware::Efi),
                read(&files.kernel)?,
            ),
            Module::new("initramfs", "", read(&files.initramfs)?),
        ],
        vlp,
        platform: PlatformRecord::simulated(),
    };
    let computed = tboot_policy::launch::launch(&input).context("cannot compute the launch")?;
    ensure!(
        !computed.halts,
        "tboot would not boot these files: {:?}",
        computed.findings
    );
    from_events(&computed.events)
}

/// Turns computed events into what the proxy plays.
pub fn from_events(events: &[Event]) -> Result<Launch> {
    let Some((first, rest)) = events.split_first() else {
        bail!("a launch has at least one event");
    };
    ensure!(
        first.event_type == event_type::HASH_START,
        "a launch begins with HASH_START, not with {}",
        first.name
    );
    let hash_data = first
        .data
        .clone()
        .context("HASH_START can only be played when its data is known, not its digest alone")?;
    let extends = rest.iter().map(extend).collect();
    Ok(Launch { hash_data, extends })
}

fn extend(event: &Event) -> Extend {
    Extend {
        locality: event.locality,
        pcr: event.pcr.get(),
        digests: event
            .digests
            .iter()
            .map(|(bank, digest)| (algorithm(*bank), digest.clone()))
            .collect(),
    }
}

fn algorithm(bank: Bank) -> u16 {
    match bank {
        Bank::Sha1 => SHA1,
        Bank::Sha256 => SHA256,
        Bank::Sha384 => SHA384,
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
