//! Enrolment with a PIN, on a real LUKS2 volume and a real swtpm, and what the boot makes of it.

use std::fs;

use agent::{
    config::Require,
    unlock::{AskPin, BootSecret, NoAnswer, Pinned, UnsealError, find_records, unseal_asking},
};
use storage::pins::Pins;
use tpm::{Tpm as _, Tpm2, swtpm::Swtpm};
use zeroize::Zeroizing;

use crate::enroll_support::{
    PASSPHRASE, Volume, enroll_current, launch, launched, refusal, taoboot, unsealed,
};

pub const PIN: &str = "correct horse";

/// A person who types these.
struct Types(Vec<String>);

impl AskPin for Types {
    fn ask(&mut self, _: usize, _: Option<&str>) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        match self.0.is_empty() {
            true => Err(NoAnswer::Declined),
            false => Ok(Zeroizing::new(self.0.remove(0).into_bytes())),
        }
    }
}

/// What the boot does where the image requires a PIN.
pub fn with_pin(volume: &Volume, swtpm: &Swtpm, typed: &[&str]) -> Result<BootSecret, UnsealError> {
    let records: Vec<_> = find_records(&volume.header())
        .into_iter()
        .filter_map(|(_, record)| record.ok())
        .collect();
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    let pinned = Pinned {
        require: Require::TpmAndPin,
        ..Pinned::default()
    };
    let mut person = Types(typed.iter().map(|pin| (*pin).to_owned()).collect());
    let unsealing = unseal_asking(&mut tpm, &records, pinned, &mut person).unwrap();
    unsealing.released.map(|(secret, _)| secret)
}

/// A file with the PIN beside the volume.
pub fn pin_file(volume: &Volume, pin: &str) -> String {
    let file = volume.directory.path().join("pin");
    fs::write(&file, format!("{pin}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn enroll(volume: &Volume, swtpm: &Swtpm, more: &[&str]) -> std::process::Output {
    let tcti = swtpm.tcti();
    let words = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    taoboot("enroll", volume, &[&words[..], more].concat())
}

fn lockout_counter(swtpm: &Swtpm) -> u32 {
    Tpm2::open(&swtpm.tcti()).unwrap().lockout().unwrap().failed
}

#[test]
fn the_enrolled_pin_opens_a_wrong_one_counts_and_the_passphrase_opens_all_the_same() {
    let volume = Volume::new();
    let mut swtpm = launched("kernel", "image");
    let file = pin_file(&volume, PIN);
    let output = enroll(&volume, &swtpm, &["--pin-file", &file]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("with a PIN"),
        "{output:?}"
    );
    let secret = with_pin(&volume, &swtpm, &["wrong horse", PIN]).unwrap();
    assert_eq!(lockout_counter(&swtpm), 1);
    let header = volume.header();
    let passphrase = secret.volume().volume_passphrase(header.identity());
    assert!(volume.opens_with(&passphrase));
    // An image that does not ask says so in one sentence.
    let error = unsealed(&volume, &swtpm).map(drop).unwrap_err();
    assert!(matches!(error, UnsealError::PinNotRequired), "{error}");
    let status = taoboot("status", &volume, &["--tcti", &swtpm.tcti()]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        text.contains("    with a PIN\n") && text.contains("opens the volume"),
        "{text}"
    );

    // Locked: named with the time to wait, and neither a restart nor the right PIN helps.
    let error = with_pin(&volume, &swtpm, &["wrong 1", "wrong 2", "wrong 3"]).map(drop);
    assert!(matches!(error, Err(UnsealError::LockedOut(_))), "{error:?}");
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel", "image");
    let error = with_pin(&volume, &swtpm, &[PIN])
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("3 of 3") && error.contains("16 min 40 s"),
        "{error}"
    );
    let status = taoboot("status", &volume, &["--tcti", &swtpm.tcti()]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        text.contains("would not be opened: the TPM has locked itself"),
        "{text}"
    );
    assert!(volume.opens_with(PASSPHRASE.as_bytes()));
}

#[test]
fn a_pin_that_is_none_is_refused_with_one_sentence_and_nothing_is_written() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "image");
    let before = fs::read(&volume.image).unwrap();
    for (pin, words) in [
        (String::new(), "6 to 128 bytes, this one has 0"),
        ("9".repeat(300), "6 to 128 bytes, this one has 300"),
        ("12\t456".into(), "control characters"),
    ] {
        let file = pin_file(&volume, &pin);
        let said = refusal(&enroll(&volume, &swtpm, &["--pin-file", &file]));
        assert!(said.contains(words), "{said}");
    }
    // Standard input is not a terminal here.
    let said = refusal(&enroll(&volume, &swtpm, &["--pin"]));
    assert!(said.contains("--pin-file"), "{said}");
    let file = pin_file(&volume, PIN);
    let said = refusal(&enroll(&volume, &swtpm, &["--pin", "--pin-file", &file]));
    assert!(said.contains("only one"), "{said}");
    assert_eq!(fs::read(&volume.image).unwrap(), before);
}

#[test]
fn a_record_is_enrolled_as_the_images_configuration_asks() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "image");
    let config = volume.directory.path().join("image.toml");
    let name = Tpm2::open(&swtpm.tcti()).unwrap().srk().unwrap().name;
    let require = format!("srk_name = \"{name}\"\n[unlock]\nrequire = \"tpm+pin\"\n");
    fs::write(&config, require).unwrap();
    let with = ["--config", config.to_str().unwrap()];
    let said = refusal(&enroll(&volume, &swtpm, &with));
    assert!(said.contains("say --pin or --pin-file"), "{said}");
    let file = pin_file(&volume, PIN);
    let with_file = ["--config", config.to_str().unwrap(), "--pin-file", &file];
    let output = enroll(&volume, &swtpm, &with_file);
    assert!(output.status.success(), "{output:?}");
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("warning"),
        "{output:?}"
    );
    // The other way round the image would not ask.
    fs::write(&config, format!("srk_name = \"{name}\"\n")).unwrap();
    let output = enroll(
        &volume,
        &swtpm,
        &[&with_file[..], &["--new-secret"]].concat(),
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("do not ask for one"),
        "{output:?}"
    );
}

#[test]
fn a_record_without_a_pin_is_not_made_beside_one_with_and_an_older_one_is_named() {
    let volume = Volume::new();
    let mut swtpm = launched("old kernel", "image");
    enroll_current(&volume, &swtpm);
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel", "image");
    let file = pin_file(&volume, PIN);
    let output = enroll(&volume, &swtpm, &["--pin-file", &file, "--new-host-secret"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("record 0 opens the volume without a PIN"),
        "{said}"
    );
    let before = fs::read(&volume.image).unwrap();
    for more in [
        &["--new-host-secret"][..],
        &["--new-host-secret", "--dry-run"],
    ] {
        let said = refusal(&enroll(&volume, &swtpm, more));
        assert!(said.contains("ask for a PIN"), "{said}");
    }
    // With a new secret, and with a PIN, neither run objects.
    for more in [
        &["--new-secret"][..],
        &["--new-host-secret", "--pin-file", &file],
    ] {
        let output = enroll(&volume, &swtpm, &[more, &["--dry-run"]].concat());
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(fs::read(&volume.image).unwrap(), before);
    // Another secret is another matter.
    let output = enroll(&volume, &swtpm, &["--new-secret"]);
    assert!(output.status.success(), "{output:?}");
    assert!(unsealed(&volume, &swtpm).is_ok());
}

/// Nobody can tell then whether images made with it would open the record.
#[test]
fn no_record_is_made_where_the_configuration_is_none_or_contradicts_the_pins() {
    let (volume, swtpm) = (Volume::new(), launched("kernel", "initramfs"));
    let config = volume.directory.path().join("image.toml");
    let pins = config.with_file_name("pins.toml");
    let (tpm, secret) = (format!("000b{}", "ab".repeat(32)), "cd".repeat(16));
    fs::write(&pins, Pins::text(&tpm, &secret)).unwrap();
    let tcti = swtpm.tcti();
    let words = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--no-pins",
    ];
    let words = [&words[..], &["--config", config.to_str().unwrap()]].concat();
    for text in [
        "on_failur = \"prompt\"\n",
        "[unlock]\nrequire = \"tpm-and-pin\"\n",
        "secret_id = \"00112233445566778899aabbccddeeff\"\n[unlock]\nrequire = \"tpm+pin\"\n",
    ] {
        fs::write(&config, text).unwrap();
        let before = fs::read(&volume.image).unwrap();
        let sentence = refusal(&taoboot("enroll", &volume, &words));
        assert!(
            sentence.contains("requires a PIN cannot be told"),
            "{sentence}"
        );
        assert!(fs::read(&volume.image).unwrap() == before, "{text}");
    }
}
