//! Somebody answers for the TPM of the running machine with a storage key of his own: whatever is sent to
//! be sealed, he reads. So nothing is, where the right key is known.

use std::{fs, path::Path};

use serde_json::json;
use tpm::{TpmError, simulated::SimulatedTpm};

use crate::{
    enroll_pin::{PIN, pin_file, with_pin},
    enroll_support::{Volume, launched, refusal, taoboot, unsealed},
    reseal::{
        common::{Machine, said},
        pin::{self, change},
    },
};

const SENT: &str = "the secret was sent to another TPM";

/// A TPM that says when it is sent something to seal.
fn interposer() -> Result<Box<dyn tpm::Tpm>, TpmError> {
    let mut tpm = SimulatedTpm::new(9);
    let sent = TpmError::BadParameter(SENT.into());
    tpm.fail_next(tpm::simulated::Call::Seal, sent);
    Ok(Box::new(tpm))
}

#[test]
fn the_resident_agent_sends_another_tpm_nothing_for_a_new_launch() {
    let machine = Machine::enrolled(&[]);
    let (secret, _) = unsealed(&machine.volume, &machine.swtpm).unwrap();
    machine.serve_over(secret, nix::unistd::getuid().as_raw(), interposer);
    let output = machine.reseal(&json!([machine.entry("0", "new", true)]), &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("are sealed under"), "{text}");
    assert!(!text.contains(SENT), "{text}");
}

#[test]
fn the_resident_agent_sends_another_tpm_nothing_for_a_new_pin() {
    let machine = pin::enrolled();
    let secret = with_pin(&machine.volume, &machine.swtpm, &[PIN]).unwrap();
    machine.serve_over(secret, nix::unistd::getuid().as_raw(), interposer);
    let old = pin_file(&machine.volume, PIN);
    let text = said(&change(&machine, &["--pin-file", &old], "battery staple"));
    assert!(text.contains("are sealed under"), "{text}");
    assert!(!text.contains(SENT), "{text}");
}

#[test]
fn a_passphrase_seals_to_no_other_tpm_than_that_of_the_records() {
    let machine = Machine::enrolled(&[]);
    let other = launched("old", "initramfs");
    let menu = json!([machine.entry("0", "new", true)]);
    let reseal = |tcti: &str| {
        let file = machine.boot.join("menu.json");
        fs::write(&file, menu.to_string()).unwrap();
        let root = machine.root.to_str().unwrap();
        let words = ["--recovery-key", "--new-host-secret", "--root", root];
        let place = ["--predictions", file.to_str().unwrap(), "--tcti", tcti];
        taoboot("reseal", &machine.volume, &[words, place].concat())
    };
    let output = reseal(&other.tcti());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("--new-tpm"), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    let output = reseal(&machine.swtpm.tcti());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn enroll(volume: &Volume, tcti: &str, more: &[&str]) -> std::process::Output {
    let words = ["--current", "--tcti", tcti, "--no-recovery-key"];
    taoboot("enroll", volume, &[&words, more].concat())
}

#[test]
fn enrolment_seals_to_no_other_tpm_than_the_known_one_unless_it_is_said_to_be_new() {
    let (volume, swtpm) = (Volume::new(), launched("kernel", "image"));
    let other = launched("other kernel", "image");
    let pin = pin_file(&volume, PIN);
    let config = volume.directory.path().join("image.toml");
    let name = |swtpm: &tpm::swtpm::Swtpm| {
        let mut tpm = tpm::Tpm2::open(&swtpm.tcti()).unwrap();
        tpm::Tpm::srk(&mut tpm).unwrap().name.to_string()
    };
    let pinning = |path: &Path, name: &str| {
        fs::write(path, format!("srk_name = \"{name}\"\n")).unwrap();
    };
    let configured = ["--config", config.to_str().unwrap()];
    let is_refused = |more: &[&str]| {
        let before = fs::read(&volume.image).unwrap();
        for dry in [&[][..], &["--dry-run"]] {
            let said = refusal(&enroll(&volume, &other.tcti(), &[more, dry].concat()));
            assert!(said.contains("--new-tpm"), "{said}");
        }
        assert_eq!(fs::read(&volume.image).unwrap(), before);
    };
    // The images' configuration knows it before there is a record.
    pinning(&config, &name(&swtpm));
    is_refused(&configured);
    let output = enroll(&volume, &swtpm.tcti(), &configured);
    assert!(output.status.success(), "{output:?}");
    // Then a record does.
    fs::remove_file(&config).unwrap();
    is_refused(&[&configured[..], &["--new-host-secret"]].concat());
    let with_pin = ["--new-host-secret", "--pin-file", &pin];
    is_refused(&[&configured[..], &with_pin].concat());
    is_refused(&[&configured[..], &["--new-secret"]].concat());
    // The board was exchanged. From then on there are records of both.
    let said_new = [&configured[..], &["--new-host-secret", "--new-tpm"]].concat();
    let output = enroll(&volume, &other.tcti(), &said_new);
    assert!(output.status.success(), "{output:?}");
    let again = [&configured[..], &["--new-host-secret"]].concat();
    for tpm in [&swtpm, &other] {
        let output = enroll(&volume, &tpm.tcti(), &again);
        assert!(output.status.success(), "{output:?}");
    }
}
