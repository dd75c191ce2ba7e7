//! `tboot-policy predict --all`, on what the real `grub-mkconfig` makes with Debian's own header, and
//! with the environment block of the real `grub-editenv`.

mod own;

use std::{fs, path::Path, process::Command};

use launch_model::Boot;
use serde_json::Value;
use tboot_policy::platform::BANKS;
use test_support::required;
use tpm::Bank;
use txt::hash::HashAlg;

use crate::machine::{Machine, text};
use crate::written::{agile, files, log_events, module, pcrs, pcrs_of, tboot};

/// A machine with the record of its last launch; `None` without grub-mkconfig.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    for script in ["00_header", "30_uefi-firmware", "41_custom"] {
        let path = Path::new("/etc/grub.d").join(script);
        machine.program(
            &format!("etc/grub.d/{script}"),
            &fs::read_to_string(path).unwrap(),
        );
    }
    fs::write(machine.path("boot/tboot.gz"), tboot()).unwrap();
    fs::create_dir_all(machine.path("boot/grub")).unwrap();
    let old = files("logging=serial", None);
    let pcrs: String = pcrs(&old)
        .iter()
        .map(|values| {
            let lines = values
                .iter()
                .map(|(n, v)| format!("  {n} : 0x{}\n", hex::encode(v)));
            format!("{}:\n{}", values.bank(), lines.collect::<String>())
        })
        .collect();
    machine.write("pcrs", &pcrs);
    fs::write(machine.path("log"), agile(&log_events(&old), &BANKS)).unwrap();
    let (code, _, stderr) = run(
        &machine,
        &[
            "record", "--log", "log", "--pcrs", "pcrs", "--output", "record",
        ],
    );
    assert_eq!(code, 0, "{stderr}");
    Some(machine)
}

fn run(machine: &Machine, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
        .args(arguments)
        .current_dir(machine.directory.path())
        .output()
        .unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Every entry, with what was said on stderr.
fn list(machine: &Machine, more: &[&str]) -> (Vec<Value>, String) {
    let root = machine.directory.path().to_str().unwrap();
    let mut arguments = vec!["predict", "--all", "--json", "--platform", "record"];
    arguments.extend(["--root", root, "--config", "grub.cfg"]);
    arguments.extend(more);
    let (code, stdout, stderr) = run(machine, &arguments);
    assert_eq!(code, 0, "{stderr}");
    (serde_json::from_str(&stdout).unwrap(), stderr)
}

fn default_id(list: &[Value]) -> Option<&str> {
    let mut defaults = list.iter().filter(|entry| entry["default"] == true);
    let found = defaults.next();
    assert!(defaults.next().is_none());
    found.and_then(|entry| entry["id"].as_str())
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(HashAlg::Sha256.digest(bytes).as_bytes())
}

const NEW: &str = "taoboot-tboot-6.1.0-10-amd64";
const OLD: &str = "taoboot-tboot-6.1.0-9-amd64";

#[test]
fn each_entry_comes_with_its_files_and_the_pcrs_of_its_launch() {
    let Some(machine) = machine() else { return };
    machine.mkconfig();
    let (list, stderr) = list(&machine, &[]);
    assert_eq!(stderr, "");
    let first = &list[0];
    assert_eq!(first["id"], NEW);
    assert_eq!(first["place"], "0>0");
    assert_eq!(
        first["entry"],
        format!("0>0: {}", first["title"].as_str().unwrap())
    );
    let boot = machine.path("boot").display().to_string();
    let expected: Vec<Value> = [
        ("tboot", "tboot.gz", tboot(), "logging=serial,memory"),
        (
            "kernel",
            "vmlinuz-6.1.0-10-amd64",
            b"kernel".to_vec(),
            "root=/dev/sda1 ro mem_sleep_default=s2idle intel_iommu=on",
        ),
        ("initramfs", "initrd-taoboot-6.1.0-10-amd64", b"image".to_vec(), ""),
    ]
    .map(|(role, name, bytes, cmdline)| {
        let path = format!("{boot}/{name}");
        serde_json::json!({ "path": path, "sha256": sha256(&bytes), "role": role, "cmdline": cmdline })
    })
    .into();
    assert_eq!(first["files"], Value::Array(expected));
    let input = Boot {
        tboot_cmdline: b"logging=serial,memory".to_vec(),
        modules: vec![
            module(
                "k",
                "root=/dev/sda1 ro mem_sleep_default=s2idle intel_iommu=on",
                b"kernel",
            ),
            module("i", "", b"image"),
        ],
        ..files("", None)
    };
    for (register, value) in pcrs_of(&input, Bank::Sha256).iter() {
        let place = format!("/prediction/pcrs/sha256/{register}");
        assert_eq!(first.pointer(&place).unwrap(), &hex::encode(value));
    }
    // Recovery entries boot without tboot: neither prediction nor error.
    let recovery = list.last().unwrap();
    assert_eq!(recovery["id"], "taoboot-recovery-6.1.0-9-amd64");
    assert_eq!(recovery["tboot"], false);
    assert!(recovery.get("prediction").is_none() && recovery.get("error").is_none());
    assert!(
        list.iter()
            .all(|entry| entry["tboot"] == true || entry["files"] == Value::Array(vec![]))
    );
}

/// Large files are hashed while they are read; what comes out is the same, in every bank.
#[test]
fn large_files_are_predicted_like_small_ones() {
    let Some(machine) = machine() else { return };
    let large = |first: u8| -> Vec<u8> { (0..3_000_001u32).map(|n| first ^ n as u8).collect() };
    let (kernel, image) = (large(b'M'), large(b'0'));
    fs::write(machine.path("boot/vmlinuz-6.1.0-10-amd64"), &kernel).unwrap();
    fs::write(machine.path("boot/initrd-taoboot-6.1.0-10-amd64"), &image).unwrap();
    for bank in BANKS {
        predicted_in(bank, &machine, &kernel, &image);
    }
}

/// The first entry with tboot extending this bank, as if somebody had edited grub.cfg.
fn predicted_in(bank: Bank, machine: &Machine, kernel: &[u8], image: &[u8]) {
    machine.mkconfig();
    let options = format!("logging=serial,memory extpol={bank}");
    let config = fs::read_to_string(machine.path("grub.cfg")).unwrap();
    machine.write(
        "grub.cfg",
        &config.replace("logging=serial,memory", &options),
    );
    let (list, _) = list(machine, &["--bank", &bank.to_string()]);
    let input = Boot {
        tboot_cmdline: options.into_bytes(),
        modules: vec![
            module(
                "k",
                "root=/dev/sda1 ro mem_sleep_default=s2idle intel_iommu=on",
                kernel,
            ),
            module("i", "", image),
        ],
        ..files("", None)
    };
    assert_eq!(list[0]["files"][2]["sha256"], sha256(image));
    for (register, value) in pcrs_of(&input, bank).iter() {
        let place = format!("/prediction/pcrs/{bank}/{register}");
        assert_eq!(
            list[0].pointer(&place).unwrap(),
            &hex::encode(value),
            "{place}"
        );
    }
    let banks = list[0]["prediction"]["pcrs"].as_object().unwrap();
    assert_eq!(banks.len(), 1, "the others do not depend on the kernel");
}

#[test]
fn an_entry_whose_tboot_leaves_the_bank_alone_is_not_predicted() {
    let Some(machine) = machine() else { return };
    machine.mkconfig();
    let config = fs::read_to_string(machine.path("grub.cfg")).unwrap();
    for (word, sentence) in [
        ("extpol=sha1", "tboot extends only the sha1 bank"),
        ("extpol=embedded", "compares no module"),
    ] {
        let text = config.replacen("logging=serial,memory", word, 1);
        machine.write("grub.cfg", &text);
        let (list, _) = list(&machine, &[]);
        assert!(list[0].get("prediction").is_none(), "{word}");
        let error = list[0]["error"].as_str().unwrap();
        assert!(error.contains(sentence), "{error}");
        assert!(
            list[1].get("prediction").is_some(),
            "the other entry has none"
        );
        // By itself, too.
        let root = machine.directory.path().to_str().unwrap();
        let place = list[0]["place"].as_str().unwrap();
        let mut alone = vec!["predict", "--json", "--platform", "record"];
        alone.extend(["--root", root, "--config", "grub.cfg", "--entry", place]);
        let (code, stdout, stderr) = run(&machine, &alone);
        assert_eq!((code, stdout.as_str()), (1, ""), "{word}");
        assert!(stderr.contains(sentence), "{stderr}");
    }
}

#[test]
fn a_new_image_is_predicted_before_it_is_in_place() {
    let Some(machine) = machine() else { return };
    machine.mkconfig();
    let (before, _) = list(&machine, &[]);
    let image = machine.path("boot/initrd-taoboot-6.1.0-10-amd64");
    machine.write("new", "another image");
    let replace = format!("{}=new", image.display());
    let (replaced, stderr) = list(&machine, &["--replace", &replace]);
    assert_eq!(stderr, "");
    let initramfs = &replaced[0]["files"][2];
    assert_eq!(initramfs["path"], image.to_str().unwrap());
    assert_eq!(initramfs["read_from"], "new");
    assert_eq!(initramfs["sha256"], sha256(b"another image"));
    let values = |entry: &Value| entry["prediction"]["pcrs"]["sha256"].clone();
    assert_ne!(values(&replaced[0]), values(&before[0]));
    assert_eq!(replaced[1], before[1]);
    // Put in place, it measures the same.
    fs::rename(machine.path("new"), image).unwrap();
    let (after, _) = list(&machine, &[]);
    assert_eq!(values(&replaced[0]), values(&after[0]));
    assert_eq!(
        replaced[0]["prediction"]["events"],
        after[0]["prediction"]["events"]
    );
    // A path that nothing loads is worth a word.
    let (_, stderr) = list(&machine, &["--replace", "/boot/typo=record"]);
    assert!(
        stderr.contains("--replace /boot/typo: no entry loads it"),
        "{stderr}"
    );
    let root = machine.directory.path().to_str().unwrap();
    for (wrong, sentence) in [
        ("/boot/x", "expected PATH=FILE"),
        ("=x", "expected PATH=FILE"),
    ] {
        let (code, _, stderr) = run(
            &machine,
            &[
                "predict",
                "--all",
                "--platform",
                "record",
                "--root",
                root,
                "--config",
                "grub.cfg",
                "--replace",
                wrong,
            ],
        );
        assert!(code == 1 && stderr.contains(sentence), "{stderr}");
    }
}

#[test]
fn one_missing_file_is_the_error_of_its_entry_only() {
    let Some(machine) = machine() else { return };
    machine.mkconfig();
    fs::remove_file(machine.path("boot/initrd-taoboot-6.1.0-10-amd64")).unwrap();
    let (list, _) = list(&machine, &[]);
    let error = list[0]["error"].as_str().unwrap();
    assert!(
        error.contains("initrd-taoboot-6.1.0-10-amd64 is not there"),
        "{error}"
    );
    assert!(list[0].get("prediction").is_none());
    assert!(list[1].get("error").is_none() && list[1]["prediction"].is_object());
}

#[test]
fn the_default_is_what_grub_boots_with_this_environment_block() {
    let Some(machine) = machine() else { return };
    let probe = Command::new("grub-editenv").arg("--version").output();
    let Some(probe) = required(probe.ok(), "grub-editenv") else {
        return;
    };
    assert!(probe.status.success());
    let environment = machine.path("boot/grub/grubenv");
    let edit = |arguments: &[&str]| {
        let done = Command::new("grub-editenv")
            .arg(&environment)
            .args(arguments)
            .status()
            .unwrap();
        assert!(done.success());
    };
    let default = |setting: &str| {
        machine.write("etc/default/grub", setting);
        machine.mkconfig();
        default_id(&list(&machine, &[]).0).map(str::to_owned)
    };
    assert_eq!(default("").as_deref(), Some(NEW));
    assert_eq!(default("GRUB_DEFAULT=saved\n").as_deref(), Some(NEW));
    edit(&["create"]);
    assert_eq!(default("GRUB_DEFAULT=saved\n").as_deref(), Some(NEW));
    edit(&["set", &format!("saved_entry=taoboot-tboot>{OLD}")]);
    assert_eq!(default("GRUB_DEFAULT=saved\n").as_deref(), Some(OLD));
    assert_eq!(default("GRUB_DEFAULT='0>1'\n").as_deref(), Some(OLD));
    // An id of a submenu's entry alone is none at the top: GRUB takes the first.
    assert_eq!(
        default(&format!("GRUB_DEFAULT='{OLD}'\n")).as_deref(),
        Some(NEW)
    );
    edit(&["set", "next_entry=taoboot-recovery"]);
    assert_eq!(
        default("GRUB_DEFAULT=saved\n").as_deref(),
        Some("taoboot-recovery-6.1.0-10-amd64")
    );
    edit(&["unset", "next_entry"]);
    // A script of the owner's may set anything.
    machine.write("boot/grub/custom.cfg", "set default=1\n");
    assert_eq!(default("GRUB_DEFAULT=saved\n"), None);
    fs::remove_file(machine.path("boot/grub/custom.cfg")).unwrap();
    fs::write(&environment, "scribble").unwrap();
    let (entries, stderr) = list(&machine, &[]);
    assert_eq!(default_id(&entries), None);
    assert!(
        stderr.contains("is not a GRUB environment block"),
        "{stderr}"
    );
}
