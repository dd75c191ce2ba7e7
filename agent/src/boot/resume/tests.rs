//! Whether an image is resumed, and what is left of it: each rule against an attack by itself.

use std::{collections::BTreeMap, process::Command};

use tao::attestation::{AcpiTables, BootEvent, BootVolume, Opened};
use tpm::{
    PcrIndex, PcrSet, TpmError,
    simulated::{Call, SimulatedTpm},
};

use storage::swap::PAGE;

use super::{verdict::Why, *};

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

fn launch(byte: u8) -> Launch {
    Launch::of(&event(Opened::Tpm), &pcrs(byte)).unwrap()
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
        assert_ne!(*Launch::of(&event, &pcrs(1)).unwrap().mark(), known);
    }
    for opened in [Opened::Passphrase, Opened::RecoveryKey] {
        assert!(Launch::of(&event(opened), &pcrs(1)).is_none());
    }
    for index in PcrSet::LAUNCH.iter() {
        let mut other = pcrs(1);
        other.insert(index, hex::encode([3; 32]));
        let other_launch = Launch::of(&event(Opened::Tpm), &other).unwrap();
        assert_ne!(*other_launch.mark(), known);
        other.remove(&index);
        assert!(Launch::of(&event(Opened::Tpm), &other).is_none());
    }
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
