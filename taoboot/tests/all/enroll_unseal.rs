//! From enrolment to the opened volume, and every way it must fail.

use agent::unlock::{
    KnownTpms, OpenError, RecordError, TokenId, UnsealError, VolumeSecret, close_latch,
    find_records, open_proven_volume, open_volume, test_passphrase,
};
use base64::Engine as _;
use tpm::Tpm2;

use crate::enroll_support::*;

#[test]
fn an_enrolled_launch_opens_the_volume_and_another_one_does_not() {
    let volume = Volume::new();
    let mut swtpm = launched("kernel 1", "initramfs 1");
    enroll_current(&volume, &swtpm);

    let (secret, record) = unsealed(&volume, &swtpm).unwrap();
    let passphrase = secret
        .volume()
        .volume_passphrase(volume.header().identity());
    assert_eq!(
        test_passphrase(&volume.header(), &passphrase, Some(record.keyslot())).unwrap(),
        1
    );
    assert!(
        volume.opens_with(&passphrase),
        "the real cryptsetup refuses the derived passphrase"
    );
    assert!(volume.opens_with(PASSPHRASE.as_bytes()));

    swtpm.reboot().unwrap();
    assert!(matches!(
        unsealed(&volume, &swtpm),
        Err(UnsealError::NoLaunch)
    ));

    launch(&swtpm, "kernel 2", "initramfs 1");
    let error = unsealed(&volume, &swtpm).map(drop).unwrap_err();
    assert!(
        matches!(&error, UnsealError::NotApproved { differences, .. } if differences.len() == 1)
    );
    assert!(
        error
            .to_string()
            .contains("PCR 18 (the kernel and its command line)"),
        "{error}"
    );

    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel 1", "initramfs 1");
    assert!(
        unsealed(&volume, &swtpm).is_ok(),
        "the approved launch, after a reboot"
    );
}

#[test]
fn the_closed_latch_keeps_the_secret_until_the_next_boot() {
    let volume = Volume::new();
    let mut swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let tpms = KnownTpms::one("/sys/class/tpm", true);
    close_latch(&mut Tpm2::open(&swtpm.tcti()).unwrap(), &tpms).unwrap();
    assert!(matches!(
        unsealed(&volume, &swtpm),
        Err(UnsealError::LatchClosed)
    ));
    // The TPM itself refuses, not only the comparison in front of it.
    let record = volume.record();
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    assert!(tpm::Tpm::unseal(&mut tpm, record.sealed(), record.approval(), None).is_err());
    drop(tpm);
    let status = taoboot("status", &volume, &["--tcti", &swtpm.tcti()]);
    assert_eq!(
        status.status.code(),
        Some(0),
        "a closed latch is the normal state: {status:?}"
    );
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel", "initramfs");
    assert!(unsealed(&volume, &swtpm).is_ok());
}

#[test]
fn a_latch_beside_which_another_tpm_has_appeared_opens_nothing() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let sysfs = tempfile::tempdir().unwrap();
    std::fs::create_dir(sysfs.path().join("tpm0")).unwrap();
    let tpms = KnownTpms::one(sysfs.path(), false);
    let latched = close_latch(&mut Tpm2::open(&swtpm.tcti()).unwrap(), &tpms).unwrap();
    std::fs::create_dir(sysfs.path().join("tpm1")).unwrap();
    let header = volume.header();
    let name = "taoboot-test-of-two-tpms";
    let opened = open_volume(&latched, &header, name, PASSPHRASE.as_bytes(), 0, &[]);
    assert!(matches!(opened, Err(OpenError::Latch(_))), "{opened:?}");
    let opened = open_proven_volume(&latched, &header, name, PASSPHRASE.as_bytes(), None, &[]);
    assert!(matches!(opened, Err(OpenError::Latch(_))), "{opened:?}");
}

#[test]
fn two_launches_with_secrets_of_their_own_live_side_by_side_and_are_wiped_apart() {
    let volume = Volume::new();
    let mut swtpm = launched("kernel 1", "initramfs");
    enroll_current(&volume, &swtpm);
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel 2", "initramfs");
    let tcti = swtpm.tcti();
    let own = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--new-secret",
    ];
    let output = taoboot("enroll", &volume, &own);
    assert!(output.status.success(), "{output:?}");
    let (second, record) = unsealed(&volume, &swtpm).unwrap();
    assert_eq!(record.keyslot(), 2);
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel 1", "initramfs");
    let (first, record) = unsealed(&volume, &swtpm).unwrap();
    assert_eq!(record.keyslot(), 1);

    let header = volume.header();
    let identity = header.identity();
    let output = taoboot("wipe", &volume, &["--record", "0"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!volume.opens_with(&first.volume().volume_passphrase(identity)));
    assert!(volume.opens_with(&second.volume().volume_passphrase(identity)));
    assert_eq!(find_records(&volume.header()).len(), 1);
    let status = taoboot("status", &volume, &["--tcti", &swtpm.tcti()]);
    assert_eq!(
        status.status.code(),
        Some(1),
        "only the other kernel is left: {status:?}"
    );
}

#[test]
fn a_predicted_launch_is_enrolled_from_a_file_before_it_happens() {
    let volume = Volume::new();
    let mut swtpm = launched("new kernel", "initramfs");
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    let values = tpm::Tpm::pcr_read(&mut tpm, tpm::Bank::Sha256, tpm::PcrSet::LAUNCH).unwrap();
    drop(tpm);
    let lines: String = values
        .iter()
        .map(|(pcr, value)| format!("{pcr}: 0x{}\n", hex::encode(value)))
        .collect();
    let file = volume.directory.path().join("pcrs");
    std::fs::write(&file, lines).unwrap();
    swtpm.reboot().unwrap();
    let file = file.to_str().unwrap();
    let tcti = swtpm.tcti();
    let arguments = [
        "--expect",
        file,
        "--tcti",
        &tcti,
        "--json",
        "--label",
        "6.1",
        "--swap",
        "PARTUUID=ab-02",
    ];
    let output = taoboot("enroll", &volume, &arguments);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["record"], &json["keyslot"]), (&0.into(), &1.into()));
    launch(&swtpm, "new kernel", "initramfs");
    let (_, record) = unsealed(&volume, &swtpm).unwrap();
    assert_eq!(record.label(), "6.1");
    assert_eq!(record.swap().unwrap().to_string(), "PARTUUID=ab-02");
    assert_eq!(
        taoboot("status", &volume, &["--expect", file])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn a_changed_record_gives_no_key() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let original = volume.token(TokenId(0));
    let engine = base64::engine::general_purpose::STANDARD;
    for part in ["public", "private"] {
        let mut token = original.clone();
        let mut blob = engine.decode(token[part].as_str().unwrap()).unwrap();
        let middle = blob.len() / 2;
        blob[middle] ^= 1;
        token[part] = engine.encode(blob).into();
        volume.replace_token(TokenId(0), &token);
        assert!(
            matches!(unsealed(&volume, &swtpm), Err(UnsealError::Tpm(_))),
            "{part}"
        );
    }
    for (field, value) in [
        ("label", "other".into()),
        ("created", 1.into()),
        ("swap", "/dev/sda1".into()),
    ] {
        let mut token = original.clone();
        token[field] = value;
        volume.replace_token(TokenId(0), &token);
        let error = unsealed(&volume, &swtpm).map(drop).unwrap_err();
        assert!(
            matches!(error, UnsealError::Record(RecordError::Forged)),
            "{field}: {error}"
        );
    }
    volume.replace_token(TokenId(0), &original);
    assert!(unsealed(&volume, &swtpm).is_ok());
}

#[test]
fn a_token_with_garbage_is_named_and_not_used() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let original = volume.token(TokenId(0));
    let changes: [fn(&mut serde_json::Value); 10] = [
        |t| t["pcrs"]["17"] = "zz".into(),
        |t| t["pcrs"]["15"] = "01".repeat(32).into(),
        |t| t["pcrs"]["18"] = "ff".repeat(32).into(),
        |t| t["pcrs"]["19"] = "00".repeat(32).into(),
        |t| drop(t["pcrs"].as_object_mut().unwrap().remove("19")),
        |t| t["version"] = 2.into(),
        |t| t["label"] = "\u{1b}[2Jcleared".into(),
        |t| t["public"] = "A".repeat(4000).into(),
        |t| t["unknown"] = 1.into(),
        |t| t["volume"]["offset"] = 0.into(),
    ];
    for change in changes {
        let mut token = original.clone();
        change(&mut token);
        volume.replace_token(TokenId(0), &token);
        assert!(find_records(&volume.header())[0].1.is_err(), "{token}");
        assert!(matches!(
            unsealed(&volume, &swtpm),
            Err(UnsealError::NoRecords)
        ));
    }
}

#[test]
fn a_removed_keyslot_is_named() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let killed = std::process::Command::new("cryptsetup")
        .args(["luksKillSlot", "-q"])
        .arg(&volume.image)
        .arg("1")
        .output()
        .unwrap();
    assert!(killed.status.success(), "{killed:?}");
    let records = find_records(&volume.header());
    assert!(
        matches!(records[0].1, Err(RecordError::Keyslot(_))),
        "{:?}",
        records[0].1
    );
}

#[test]
fn another_tpm_does_not_open_it() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let other = launched("kernel", "initramfs");
    assert!(matches!(
        unsealed(&volume, &other),
        Err(UnsealError::Tpm(_))
    ));
}

#[test]
fn the_recovery_key_opens_the_volume_with_the_real_cryptsetup() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    let file = volume.directory.path().join("recovery");
    let tcti = swtpm.tcti();
    let arguments = [
        "--current",
        "--tcti",
        &tcti,
        "--recovery-key-file",
        file.to_str().unwrap(),
    ];
    let output = taoboot("enroll", &volume, &arguments);
    assert!(output.status.success(), "{output:?}");
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(volume.opens_with(key.trim_end().as_bytes()));
    // The file exists: the key cannot be handed out, so none is made.
    let before = volume.header().metadata().keyslots.len();
    let again = [&arguments[..], &["--new-host-secret"]].concat();
    let again = taoboot("enroll", &volume, &again);
    assert!(refusal(&again).contains("recovery key"));
    assert_eq!(
        volume.header().metadata().keyslots.len(),
        before,
        "the second record shares the first one's keyslot"
    );
}

#[test]
fn a_secret_of_another_record_does_not_authenticate() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let other = VolumeSecret::generate().unwrap();
    assert_eq!(volume.record().verify_mac(&other), Err(RecordError::Forged));
}

#[test]
fn a_storage_key_that_is_not_pinned_is_warned_of_until_it_is() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    let config = volume.directory.path().join("image.toml");
    std::fs::write(&config, "[volume]\ndevice = \"/dev/sda3\"\n").unwrap();
    let config = config.to_str().unwrap();
    let tcti = swtpm.tcti();
    let enroll = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--config",
        config,
    ];
    let output = taoboot("enroll", &volume, &enroll);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("does not pin this TPM's storage key"),
        "{said}"
    );
    let status = || {
        let output = taoboot("status", &volume, &["--tcti", &tcti, "--config", config]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(status().contains("warning: "));
    let srk = |tcti: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_taoboot"));
        piped(
            command.args(["srk", "--pin", "--config", config, "--tcti", tcti]),
            "",
        )
    };
    assert!(srk(&tcti).status.success());
    assert!(!status().contains("warning: "), "{}", status());
    let text = std::fs::read_to_string(config).unwrap();
    let pinned = agent::config::Config::parse(&text, "test")
        .unwrap()
        .srk_name;
    assert_eq!(pinned.as_ref(), Some(&volume.record().sealed().parent));
    // Another TPM does not take its place unasked.
    let other = launched("kernel", "initramfs");
    assert!(refusal(&srk(&other.tcti())).contains("pins another storage key"));
    assert_eq!(std::fs::read_to_string(config).unwrap(), text);
}
