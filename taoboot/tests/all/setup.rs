//! `taoboot setup --check` on machines that are directories, with a real swtpm: each thing that is missing is
//! named with what to do, and nothing is missing when all is there.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;
use tpm::swtpm::Swtpm;
use txt::acm::{Acm, ModuleKind};

use crate::{
    enroll_support::{Volume, enroll_current, launched, piped},
    enroll_unattended::machine,
};

/// A module that GETSEC[SENTER] would run: of the fuzz corpus, since Intel's own may not be passed on.
fn sinit() -> Vec<u8> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/lcp_acm");
    let files = fs::read_dir(corpus).unwrap().flatten();
    let mut modules = files.map(|file| fs::read(file.path()).unwrap());
    let is_sinit =
        |bytes: &Vec<u8>| Acm::parse(bytes).is_ok_and(|acm| acm.info().kind == ModuleKind::Sinit);
    modules.find(is_sinit).unwrap()
}

fn check(root: &Path, tcti: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
    command
        .args(["setup", "--tcti", tcti, "--root"])
        .arg(root)
        .args(more);
    let output = piped(&mut command, "");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// `what -> state`
fn states(root: &Path, tcti: &str) -> (Option<i32>, Vec<(String, String)>) {
    let (code, text) = check(root, tcti, &["--check", "--json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["ready"], code == Some(0), "{told}");
    let findings = told["findings"].as_array().unwrap().iter();
    let of = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    (
        code,
        findings
            .map(|finding| (of(finding, "what"), of(finding, "state")))
            .collect(),
    )
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn an_empty_machine_misses_everything_and_a_whole_one_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let none = Swtpm::start().unwrap();
    let (code, found) = states(directory.path(), &none.tcti());
    assert_eq!(code, Some(2));
    let of_state = |state: &str| -> Vec<&str> {
        let all = found.iter().filter(|(_, found)| found == state);
        all.map(|(what, _)| what.as_str()).collect()
    };
    assert_eq!(of_state("ready"), ["TPM", "SRK"]);
    assert_eq!(of_state("unknown"), ["processor", "SINIT"]);
    assert_eq!(
        of_state("missing"),
        [
            "tboot",
            "volume",
            "config",
            "GRUB",
            "images",
            "policy",
            "launch",
            "platform",
            "enrolment"
        ]
    );
    let (code, text) = check(directory.path(), &none.tcti(), &["--check"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("next: tboot: install tboot"), "{text}");

    let volumes = [Volume::new(), Volume::new(), Volume::new()];
    let swtpm = launched("kernel", "initramfs");
    let machine = machine(&[&volumes[0], &volumes[1], &volumes[2]]);
    let root = machine.path();
    write(
        root,
        "proc/cpuinfo",
        b"processor\t: 0\nflags\t\t: fpu vmx smx est\n",
    );
    write(root, "boot/tboot.gz", b"");
    write(root, "boot/SINIT.bin", &sinit());
    write(
        root,
        "etc/taoboot/image.toml",
        b"[volume]\ndevice = \"/dev/sda\"\n",
    );
    write(root, "etc/grub.d/20_linux_taoboot", b"#!/bin/sh\n");
    let script = root.join("etc/grub.d/20_linux_taoboot");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    write(
        root,
        "boot/grub/grub.cfg",
        b"menuentry 'x' $menuentry_id_option 'taoboot-tboot-6.1' {\n}\n",
    );
    write(root, "boot/initrd-taoboot-6.1", b"");
    write(root, "etc/taoboot/vlp.pol", b"");
    write(root, "var/lib/taoboot/platform.json", b"{}");
    let missing = |tcti: &str| -> Vec<String> {
        let (_, found) = states(root, tcti);
        let missing = found.into_iter().filter(|(_, state)| state != "ready");
        missing.map(|(what, _)| what).collect()
    };
    assert_eq!(missing(&swtpm.tcti()), ["enrolment"]);
    enroll_current(&volumes[0], &swtpm);
    assert_eq!(states(root, &swtpm.tcti()).0, Some(0));
    let (code, text) = check(root, &swtpm.tcti(), &["--check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing is missing"), "{text}");

    // Each of them, taken away or spoilt, is the one thing that is missing.
    for (name, content, what) in [
        ("proc/cpuinfo", &b"flags\t: fpu smxx vmx\n"[..], "processor"),
        ("proc/cpuinfo", b"flags\t: fpu smx\n", "processor"),
        ("boot/SINIT.bin", b"not a module", "SINIT"),
        ("etc/taoboot/image.toml", b"on_failur = 1\n", "config"),
        ("boot/grub/grub.cfg", b"menuentry 'x' {\n}\n", "GRUB"),
    ] {
        let good = fs::read(root.join(name)).unwrap();
        write(root, name, content);
        assert_eq!(missing(&swtpm.tcti()), [what], "{name}");
        write(root, name, &good);
    }
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(missing(&swtpm.tcti()), ["GRUB"]);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    // A machine that was not launched, and one whose TPM is not there.
    assert_eq!(missing(&none.tcti()), ["launch"]);
    // What the launch is made of comes first.
    for name in [
        "etc/taoboot/image.toml",
        "boot/grub/grub.cfg",
        "etc/taoboot/vlp.pol",
    ] {
        let good = fs::read(root.join(name)).unwrap();
        fs::remove_file(root.join(name)).unwrap();
        assert_eq!(missing(&none.tcti())[1..], ["launch"], "{name}");
        write(root, name, &good);
    }
    assert_eq!(missing("swtpm:host=127.0.0.1,port=1"), ["TPM"]);
}

#[test]
fn a_luks1_root_is_told_its_way_out() {
    let volumes = [Volume::luks1(), Volume::new(), Volume::new()];
    let machine = machine_with_root(&volumes);
    let none = Swtpm::start().unwrap();
    let (code, text) = check(machine.path(), &none.tcti(), &["--check"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("cryptsetup convert --type luks2"), "{text}");
}

fn machine_with_root(volumes: &[Volume; 3]) -> tempfile::TempDir {
    machine(&[&volumes[0], &volumes[1], &volumes[2]])
}
