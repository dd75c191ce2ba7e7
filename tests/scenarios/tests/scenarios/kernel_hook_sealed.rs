//! The kernel hook with the real `taoboot`, a LUKS2 volume and a TPM: what it seals to is what the
//! menu boots.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::hook_machine::sealed::Sealed;
use crate::hook_machine::{KERNELS, Run};
use harness::assets::Assets;
use harness::programs;

const NEW: &str = "6.1.0-11-amd64";
#[test]
fn every_entry_unlocks_after_each_run_and_old_records_go() {
    let Some(m) = Sealed::new() else { return };
    let verdicts = |run: &Run, kernels: &[&str]| {
        assert_eq!(run.code, Some(0), "{run:?}");
        for version in kernels {
            let line = run
                .stdout
                .lines()
                .find(|line| line.contains(version))
                .unwrap();
            assert!(line.contains("will unlock"), "{line}");
        }
        assert!(
            run.stderr
                .contains("the next boot will unlock the disk automatically"),
            "{}",
            run.stderr
        );
    };
    // The words and the configuration with which /init finds the volume.
    let uuid = Command::new("cryptsetup")
        .arg("luksUUID")
        .arg(m.machine.path("volume"))
        .output()
        .unwrap();
    let uuid = String::from_utf8(uuid.stdout).unwrap();
    let config = |note: &str| format!("# {note}\n[volume]\ndevice = \"UUID={}\"\n", uuid.trim());
    let write = |name: &str, text: &str| m.machine.machine.write(name, text);
    write("etc/taoboot/image.toml", &config("one"));
    write(
        "etc/default/grub-taoboot",
        "GRUB_TAOBOOT_ROOT=/dev/mapper/root\n",
    );
    // The older kernel has no record yet.
    verdicts(&m.run(&["refresh"], true), &KERNELS);
    assert_eq!(m.records(), 2);
    m.machine.install_kernel(NEW);
    verdicts(&m.run(&["add", NEW], true), &[KERNELS[0], KERNELS[1], NEW]);
    assert_eq!(m.records(), 3);
    // Another config, another command line: new records, and the old ones are of no use.
    write("etc/taoboot/image.toml", &config("two"));
    write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    verdicts(&m.run(&["refresh"], true), &[KERNELS[0], KERNELS[1], NEW]);
    assert_eq!(m.records(), 3);
    // Nothing is to be sealed to: no passphrase is needed either.
    verdicts(&m.run(&["refresh"], false), &[KERNELS[0], KERNELS[1], NEW]);
}

#[test]
fn what_cannot_be_sealed_to_is_not_put_into_place() {
    let Some(m) = Sealed::new() else { return };
    verdict_of_refresh(&m);
    m.machine.install_kernel(NEW);
    let before = m.machine.boot_files();
    // Neither a resident agent nor a passphrase.
    let run = m.run(&["add", NEW], false);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("--recovery-key"), "{}", run.stderr);
    assert!(
        run.stderr.contains("menu and images are unchanged"),
        "{}",
        run.stderr
    );
    assert_eq!(m.machine.boot_files(), before);
}

#[test]
fn where_nothing_is_enrolled_any_more_a_kernel_is_installed_all_the_same() {
    let Some(m) = Sealed::new() else { return };
    let wiped = Command::new(programs::path("taoboot").unwrap())
        .args(["wipe", "--all", "--volume"])
        .arg(m.machine.path("volume"))
        .output()
        .unwrap();
    assert!(wiped.status.success(), "{wiped:?}");
    m.machine.install_kernel(NEW);
    let run = m.run(&["add", NEW], false);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said = "no launch is enrolled with the volume";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert!(m.machine.config().contains(&format!("taoboot-tboot-{NEW}")));
    assert_eq!(m.records(), 0);
    assert!(run.stderr.contains("the next boot asks for the passphrase"));
    // An image that pins the secret does not.
    let pins = format!(
        "srk_name = \"000b{}\"\nsecret_id = \"{}\"\n",
        "11".repeat(32),
        "22".repeat(16)
    );
    m.machine.machine.write("etc/taoboot/pins.toml", &pins);
    let run = m.run(&["refresh"], false);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said = "refuse the right passphrase, too: remove";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert!(!run.stderr.contains("asks for the passphrase"));
}

fn verdict_of_refresh(m: &Sealed) {
    let run = m.run(&["refresh"], true);
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// What the work for one kernel takes, with the real builder and a real kernel's modules. Printed;
/// the limit of 3 seconds is for a machine that does nothing else, so that ten are allowed here.
#[test]
fn the_work_for_one_kernel_is_done_in_seconds() {
    let Some(m) = Sealed::new() else { return };
    verdict_of_refresh(&m);
    let assets = Assets::load().unwrap();
    let version = &assets.kernel.version;
    let boot = |name: &str| m.machine.path(&format!("boot/{name}-{version}"));
    fs::copy(&assets.kernel.vmlinuz, boot("vmlinuz")).unwrap();
    fs::copy(&assets.kernel.config, boot("config")).unwrap();
    m.machine
        .package("linux-image", &format!("boot/vmlinuz-{version}"));
    fs::remove_file(m.machine.path("bin/taoboot-image")).unwrap();
    m.machine
        .machine
        .write("etc/taoboot/image.toml", "on_failure = \"reboot\"\n");
    let settings = fs::read_to_string(m.machine.path("etc/default/taoboot")).unwrap();
    m.machine.machine.write(
        "etc/default/taoboot",
        &format!(
            "{settings}TAOBOOT_IMAGE_OPTIONS='--generic --agent {} --modules-dir {}'\n",
            programs::path("init").unwrap().display(),
            assets.kernel.modules.display()
        ),
    );
    let real = programs::path("taoboot-image").unwrap();
    for (name, real) in [
        ("taoboot-image", real),
        ("grub-mkconfig", m.machine.path("bin/grub-mkconfig.real")),
        ("taoboot", m.machine.path("bin/taoboot.real")),
    ] {
        let program = m.machine.path(&format!("bin/{name}"));
        if !real.exists() {
            fs::rename(&program, &real).unwrap();
        }
        m.machine.program(
            &format!("bin/{name}"),
            &format!(
                "#!/bin/sh\nbegin=$(date +%s.%N)\n{} \"$@\"\ncode=$?\n\
                 echo \"$(date +%s.%N) $begin {name} $1\" >>\"$TEST_ROOT/times\"\nexit $code\n",
                real.display()
            ),
        );
    }
    let started = Instant::now();
    let run = m.run(&["add", version], true);
    let took = started.elapsed().as_secs_f64();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stderr.contains("will unlock the disk automatically"),
        "{}",
        run.stderr
    );
    println!("taoboot-kernel add: {took:.2} s");
    for line in fs::read_to_string(m.machine.path("times")).unwrap().lines() {
        let mut fields = line.split(' ');
        let mut time = || fields.next().unwrap().parse::<f64>().unwrap();
        let seconds = time() - time();
        println!("  {seconds:.2} s {}", fields.collect::<Vec<_>>().join(" "));
    }
}

#[test]
fn what_enrolment_pinned_is_in_place_after_a_refresh_of_all_images_and_not_before() {
    let Some(m) = Sealed::new() else { return };
    let uuid = Command::new("cryptsetup")
        .arg("luksUUID")
        .arg(m.machine.path("volume"))
        .output()
        .unwrap();
    let uuid = String::from_utf8(uuid.stdout).unwrap();
    let config = format!("[volume]\ndevice = \"UUID={}\"\n", uuid.trim());
    m.machine.machine.write("etc/taoboot/image.toml", &config);
    m.enroll_first(&["--pins", "--new-host-secret"]);
    m.machine.install_kernel(NEW);
    let before = "those in /boot were made before that";
    let run = m.run(&["add", NEW], true);
    assert!(run.stdout.contains(before), "one of several: {run:?}");
    let run = m.run(&["refresh"], true);
    let words = "the images pin this machine's TPM and its secret";
    assert!(run.stdout.contains(words), "{run:?}");
    fs::remove_file(m.machine.path("etc/taoboot/pins.toml")).unwrap();
    let run = m.run(&["refresh"], true);
    assert!(run.stdout.contains("pin neither the TPM"), "{run:?}");
    assert!(!m.machine.path("var/lib/taoboot/pins.toml").exists());
}
