//! Whether an image is resumed, and what is left of it: each rule against an attack by itself.

use std::{collections::BTreeMap, process::Command};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tao::attestation::{AcpiTables, BootEvent, BootVolume, Opened};
use tpm::{
    PcrIndex, PcrSet, Tpm2, TpmError,
    simulated::{Call, SimulatedTpm},
    swtpm::Swtpm,
};

use storage::swap::PAGE;

use super::{verdict::Why, *};
use crate::{
    boot::{config::cmdline::CommandLine, evidence},
    config::Config,
    unlock::{KnownTpms, close_latch},
};

pub const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

/// A swap area that mkswap made.
pub fn area_of_mkswap() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 20).unwrap();
    let made = Command::new("/usr/sbin/mkswap")
        .args(["--uuid", UUID, "--label", "sleep"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(made.status.success());
    file
}

/// What the kernel leaves when it hibernates (mark_swapfiles in kernel/power/swap.c).
fn hibernate(file: &tempfile::NamedTempFile) {
    let mut page = fs::read(file.path()).unwrap();
    page.copy_within(4086..4096, 4076);
    page[4064..4072].copy_from_slice(&2_u64.to_le_bytes());
    page[4086..4096].copy_from_slice(b"S1SUSPEND\0");
    fs::write(file.path(), page).unwrap();
}

fn pcrs(byte: u8) -> BTreeMap<PcrIndex, String> {
    let values = PcrSet::LAUNCH.iter();
    values
        .map(|index| (index, hex::encode([byte; 32])))
        .collect()
}

fn event(opened: Opened) -> BootEvent {
    BootEvent {
        opened,
        volume: BootVolume::Secret([1; 16]),
        host_key: Some([2; 32]),
        acpi: AcpiTables::None,
    }
}

fn secret(byte: u8) -> BootSecret {
    BootSecret::from_bytes(&[byte; BootSecret::LEN]).unwrap()
}

/// What the released secret 7 makes of it.
fn launch_of(event: &BootEvent, pcrs: &BTreeMap<PcrIndex, String>) -> Option<Launch> {
    Launch::of(Some(secret(7).volume()), event, pcrs)
}

fn launch(byte: u8) -> Launch {
    launch_of(&event(Opened::Tpm), &pcrs(byte)).unwrap()
}

/// A boot under one launch that nothing is resumed in, then hibernation.
fn hibernated_under(launch: Option<&Launch>) -> (tempfile::NamedTempFile, FirstPage) {
    let file = area_of_mkswap();
    let area = Area::of_file(file.path().to_owned());
    assert!(!put_away(&area, launch).unwrap());
    hibernate(&file);
    let page = read(&area.node).unwrap();
    (file, page)
}

#[test]
fn an_image_is_resumed_by_the_launch_that_made_it_and_by_no_other() {
    let (_file, page) = hibernated_under(Some(&launch(1)));
    assert_eq!(verdict::of(&page, Some(&launch(1)), true), Verdict::Resume);
    for (launch, wanted, why) in [
        (None, true, Why::NotApproved),
        (None, false, Why::NotApproved),
        (Some(launch(2)), true, Why::OtherLaunch),
        (Some(launch(1)), false, Why::NotWanted),
    ] {
        let verdict = verdict::of(&page, launch.as_ref(), wanted);
        assert_eq!(verdict, Verdict::PutAway(why));
    }
}

/// A machine that somebody opened with a passphrase runs what nobody approved.
#[test]
fn an_image_made_after_a_passphrase_is_not_resumed_by_an_approved_launch() {
    let (file, page) = hibernated_under(None);
    let verdict = verdict::of(&page, Some(&launch(1)), true);
    assert_eq!(verdict, Verdict::PutAway(Why::Unmarked));
    // Nor where an approved boot had marked the swap before.
    let area = Area::of_file(file.path().to_owned());
    assert!(put_away(&area, Some(&launch(1))).unwrap());
    assert!(!put_away(&area, None).unwrap());
    hibernate(&file);
    let page = read(&area.node).unwrap();
    let verdict = verdict::of(&page, Some(&launch(1)), true);
    assert_eq!(verdict, Verdict::PutAway(Why::Unmarked));
}

#[test]
fn a_launch_is_what_the_tpm_approved_and_all_that_pcr_15_tells_of_it() {
    let known = *launch(1).mark();
    for event in [
        BootEvent {
            volume: BootVolume::Secret([9; 16]),
            ..event(Opened::Tpm)
        },
        BootEvent {
            host_key: Some([9; 32]),
            ..event(Opened::Tpm)
        },
        BootEvent {
            acpi: AcpiTables::Digest([9; 32]),
            ..event(Opened::Tpm)
        },
    ] {
        assert_ne!(*launch_of(&event, &pcrs(1)).unwrap().mark(), known);
    }
    for opened in [Opened::Passphrase, Opened::RecoveryKey] {
        assert!(launch_of(&event(opened), &pcrs(1)).is_none());
    }
    for index in PcrSet::LAUNCH.iter() {
        let mut other = pcrs(1);
        other.insert(index, hex::encode([3; 32]));
        let other_launch = launch_of(&event(Opened::Tpm), &other).unwrap();
        assert_ne!(*other_launch.mark(), known);
        other.remove(&index);
        assert!(launch_of(&event(Opened::Tpm), &other).is_none());
    }
}

/// Whose disk is taken for the swap, a guest's, knows all that an attestation tells.
#[test]
fn a_mark_of_public_values_or_under_another_secret_is_not_accepted() {
    let (_file, page) = hibernated_under(Some(&launch(1)));
    let public = || {
        let values = pcrs(1);
        let values: String = values
            .iter()
            .map(|(index, value)| format!("{index} {value}\n"))
            .collect();
        values + &event(Opened::Tpm).to_string()
    };
    let digest = |version: u8| Sha256::digest(format!("taoboot resume {version}\n{}", public()));
    let under = |key: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("taoboot resume 2\n{}", public()).as_bytes());
        mac.finalize().into_bytes()
    };
    let secret_id = secret(7).volume().id_bytes();
    for mark in [digest(1), digest(2), under(b""), under(&secret_id)] {
        let forged = page.clone().marked(Some(&mark.into()));
        let verdict = verdict::of(&forged, Some(&launch(1)), true);
        assert_eq!(verdict, Verdict::PutAway(Why::OtherLaunch));
    }
    // That is the form of it: with the key the mark is the genuine one.
    let genuine = under(secret(7).volume().resume_mark_key().as_slice());
    assert_eq!(page.mark(), Some(genuine.into()));
    let other = secret(8);
    let other = Launch::of(Some(other.volume()), &event(Opened::Tpm), &pcrs(1));
    let verdict = verdict::of(&page, other.as_ref(), true);
    assert_eq!(verdict, Verdict::PutAway(Why::OtherLaunch));
    assert!(Launch::of(None, &event(Opened::Tpm), &pcrs(1)).is_none());
}

/// Resumed once root has been mounted, it would write over what has changed.
#[test]
fn an_image_that_is_not_resumed_is_gone_before_anything_is_mounted() {
    let (file, page) = hibernated_under(Some(&launch(1)));
    let area = Area::of_file(file.path().to_owned());
    assert_eq!(page.holds(), Holds::Image);
    assert!(put_away(&area, Some(&launch(2))).unwrap());
    let left = read(&area.node).unwrap();
    assert_eq!(left.holds(), Holds::Swap);
    assert_eq!(left.mark(), Some(*launch(2).mark()));
    // With no swap to write to, nothing is mounted.
    drop(file);
    let refused = put_away(&area, Some(&launch(2))).unwrap_err().to_string();
    assert!(refused.contains("nothing is mounted"), "{refused}");
}

#[test]
fn a_broken_image_and_what_is_no_swap_are_not_resumed() {
    let (file, _) = hibernated_under(Some(&launch(1)));
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[4064..4072].fill(0);
    fs::write(file.path(), &bytes).unwrap();
    let area = Area::of_file(file.path().to_owned());
    let page = read(&area.node).unwrap();
    let verdict = verdict::of(&page, Some(&launch(1)), true);
    assert_eq!(verdict, Verdict::PutAway(Why::Broken));
    fs::write(file.path(), [0; PAGE]).unwrap();
    let refused = read(&area.node).map(drop).unwrap_err().to_string();
    assert!(refused.contains("no signature of swap"), "{refused}");
}

#[test]
fn without_a_tpm_that_can_be_told_nothing_is_resumed() {
    let mut tpm = SimulatedTpm::new(1);
    tell(Some(SimulatedTpm::new(1))).map(drop).unwrap();
    let none = tell(None::<SimulatedTpm>).map(drop);
    assert!(matches!(none, Err(TellError::NoTpm)));
    tpm.fail_next(Call::PcrRead, TpmError::BadParameter("off".into()));
    let broken = tell(Some(tpm)).map(drop);
    assert!(matches!(broken, Err(TellError::Record(_))));
}

/// `settle` where a passphrase has opened a volume, and the swap is on no enrolled one.
fn settled_without_swap(line: &str) -> (Result<NotResumed, Failure>, Boot) {
    let swtpm = Swtpm::start().unwrap();
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    let latched = close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
    let line = format!("root=/dev/sda2 resume=UUID={UUID} {line}");
    let config = Config::parse("[swap]\nresume = true\n", "t").unwrap();
    let settings = Settings::merge(CommandLine::parse(&line).unwrap(), config).unwrap();
    let mut boot = Boot::start();
    let volume = tempfile::NamedTempFile::new().unwrap();
    volume.as_file().set_len(1 << 20).unwrap();
    let mut unlocked = Unlocked {
        mapping: volume.path().to_owned(),
        swap: None,
        secret: None,
        by_passphrase: None,
        opened: Opened::Passphrase,
        volume: BootVolume::Unproven([1; 32]),
        tpm: None,
    };
    let recorded = evidence::record(&mut unlocked, latched, &settings, &mut boot).unwrap();
    let settled = settle(&mut unlocked, &recorded, &settings, &mut boot);
    (settled, boot)
}

#[test]
fn where_nobody_can_look_for_an_image_nothing_is_mounted_unless_it_was_given_up() {
    let (settled, boot) = settled_without_swap("");
    let failure = settled.map(drop).unwrap_err();
    assert_eq!(failure.phase, Phase::Resume);
    for said in [UUID, "on no enrolled volume", "add noresume"] {
        assert!(failure.reason.contains(said), "{said}: {failure}");
    }
    assert_eq!(boot.report.warnings.len(), 0);
    let (settled, boot) = settled_without_swap("noresume");
    settled.map(drop).unwrap();
    let [warning] = boot.report.warnings.as_slice() else {
        panic!("{:?}", boot.report.warnings);
    };
    assert!(warning.contains("image may still be on"), "{warning}");
}

#[test]
fn what_was_read_and_is_no_swap_stops_nothing_and_what_could_not_be_read_does() {
    let look = |path: &Path, wanted| {
        let settings = ResumeSettings {
            device: DeviceSpec::Uuid(UUID.into()),
            wanted,
        };
        let mut boot = Boot::start();
        let page = first_page(Area::of_file(path.to_owned()), &settings, &mut boot);
        (page.map(|page| page.is_some()), boot.report.warnings.len())
    };
    let swap = area_of_mkswap();
    assert!(matches!(look(swap.path(), true), (Ok(true), 0)));
    fs::write(swap.path(), [0; PAGE]).unwrap();
    assert!(matches!(look(swap.path(), true), (Ok(false), 1)));
    let directory = tempfile::tempdir().unwrap();
    let short = directory.path().join("short");
    fs::write(&short, [0; PAGE - 1]).unwrap();
    // A directory is opened, and cannot be read.
    for path in [&short, directory.path(), &directory.path().join("none")] {
        assert!(matches!(look(path, true), (Err(_), 0)), "{path:?}");
        assert!(matches!(look(path, false), (Ok(false), 1)), "{path:?}");
    }
}
