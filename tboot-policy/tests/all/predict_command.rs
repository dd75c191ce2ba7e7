//! `tboot-policy record` and `predict` as commands.

use std::{fs, process::Command};

use launch_model::Boot;
use tboot_policy::{
    platform::BANKS,
    vlp::{Entry, ModuleNumber, Object, Policy, PolicyType},
};
use tpm::{Bank, PcrIndex, PcrPolicy};
use txt::hash::HashAlg;

use crate::written::*;

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

fn policy() -> Policy {
    let entry = |number, register| {
        let object = Object::Module(ModuleNumber::new(number).unwrap());
        Entry::measure(object, Some(pcr(register)))
    };
    let entries = vec![entry(0, 18), entry(1, 19)];
    Policy::new(PolicyType::NonFatal, HashAlg::Sha256, 1, entries).unwrap()
}

/// A new kernel, initramfs and command line.
fn updated(input: &Boot) -> Boot {
    let mut new = input.clone();
    new.modules = vec![
        module("vmlinuz-2", "root=/dev/sda1 ro quiet", b"kernel 2"),
        module("initrd-2", "", b"070701 second"),
    ];
    new.tboot_cmdline.extend(b" loglvl=all");
    new
}

#[test]
fn the_command_records_and_predicts() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let write = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
    let old = files("logging=serial", Some(policy()));
    let new = updated(&old);
    write("log", &agile(&log_events(&old), &BANKS));
    let text: String = pcrs(&old)
        .iter()
        .map(|values| {
            let lines = values
                .iter()
                .map(|(n, v)| format!("  {n} : 0x{}\n", hex::encode(v)));
            format!("{}:\n{}", values.bank(), lines.collect::<String>())
        })
        .collect();
    write("pcrs", text.as_bytes());
    write("tboot.gz", &new.tboot);
    write("vmlinuz", b"kernel 2");
    write("initrd", b"070701 second");
    write("policy", &policy().to_bytes());
    write("SINIT.bin", b"sinit");
    let (code, stdout, stderr) = run(&[
        "record",
        "--log",
        "log",
        "--pcrs",
        "pcrs",
        "--sinit",
        "SINIT.bin",
        "--output",
        "record",
    ]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("banks sha1, sha256, sha384"), "{stdout}");
    let files = [
        "--tboot",
        "tboot.gz",
        "--tboot-cmdline",
        "logging=serial loglvl=all",
        "--module",
        "vmlinuz root=/dev/sda1 ro quiet",
        "--module",
        "initrd",
        "--policy",
        "policy",
        "--sinit",
        "SINIT.bin",
    ];
    let mut line = vec![
        "predict",
        "--platform",
        "record",
        "--json",
        "--pcr-file",
        "values",
    ];
    line.extend(files);
    let (code, json, stderr) = run(&line);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let played = pcrs_of(&new, Bank::Sha256);
    let mut whole: Vec<u8> = Vec::new();
    for (register, value) in played.iter() {
        assert_eq!(
            json["pcrs"]["sha256"][register.to_string()],
            hex::encode(value)
        );
        whole.extend(value);
    }
    assert_eq!(fs::read(directory.path().join("values")).unwrap(), whole);
    let digest = hex::encode(PcrPolicy::new(played).unwrap().digest());
    assert_eq!(json["policy_digest"], digest);
    // Straight from the log, as a table.
    let mut line = vec!["predict", "--log", "log", "--pcrs", "pcrs"];
    line.extend(files);
    let (code, stdout, _) = run(&line);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("(changes)") && stdout.contains(&digest),
        "{stdout}"
    );
    let row = stdout
        .lines()
        .find(|line| line.contains("module 1") && line.contains('*'))
        .unwrap();
    assert!(
        row.starts_with("PCR 19 *") && row.ends_with("initrd"),
        "{row}"
    );
    // The same record, another SINIT module.
    write("SINIT.bin", b"newer");
    let mut line = vec!["predict", "--platform", "record"];
    line.extend(files);
    let (code, _, stderr) = run(&line);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("is not the one of the recorded launch"),
        "{stderr}"
    );
}
