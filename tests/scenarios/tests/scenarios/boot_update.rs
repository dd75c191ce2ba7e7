//! A new kernel is installed in the running machine, and the machine unlocks itself after the
//! reboot: with real dpkg, grub-mkconfig, GRUB, tboot, kernels and LUKS. Only the launch itself
//! is simulated, from the very files that lie on the boot partition.

use std::sync::{Arc, Mutex, Weak};

use agent::forecast::verdict::{Answer, NextBoot};
use harness::disk::boot::Firmware;
use harness::installed::{FIRST_ENTRY, Installed, MenuEntry, NEW_KERNEL};
use serde_json::Value;
use tao::attestation::Opened;

use crate::update::past::Recorded;
use crate::update::{cmdline, refused, run, shell, stdout, stdout_json, unlocked};

/// The verdicts on the entries that boot tboot.
fn verdicts(answer: &NextBoot) -> Vec<Answer> {
    let entries = answer.entries.iter();
    entries
        .filter(|entry| !entry.id.as_deref().unwrap().contains("recovery"))
        .map(|entry| entry.verdict)
        .collect()
}

/// The administrator names what the harness has put into /boot: no package installed it, and the
/// image was built elsewhere. The digests come from the harness.
fn trust(machine: &Installed, first: &MenuEntry) -> String {
    let content = machine.boot.content().unwrap();
    let files = content.files_of(first).unwrap();
    let digest = |file: &std::path::Path| {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(std::fs::read(file).unwrap()))
    };
    let version = &machine.old.version;
    let commands = [
        ("tboot.gz".to_owned(), files.tboot.as_deref().unwrap()),
        (format!("vmlinuz-{version}"), &*files.kernel),
        (format!("initrd-taoboot-{version}"), &*files.initramfs),
    ]
    .map(|(name, file)| format!("taoboot trust /boot/{name} --sha256 {}", digest(file)));
    commands.join(" && ")
}

/// Installs the package as apt would, and writes down every write to the disks meanwhile.
fn install(machine: &Installed, first: &MenuEntry) -> Recorded {
    let commands = vec![
        shell("trust", &trust(machine, first), 60),
        // initramfs-tools is what such a machine has no use for.
        shell(
            "install",
            &format!("dpkg --force-depends -i {NEW_KERNEL} 2>&1"),
            300,
        ),
        shell("check", "taoboot check-next-boot --json", 60),
        shell("status", "taoboot status", 60),
        shell("log", "dmesg | grep 'reseal:'", 10),
    ];
    let (boot, recorded) = Recorded::run(machine, first, commands);
    unlocked(&boot);
    let said = stdout(&boot, "install");
    assert!(
        said.contains("the next boot will unlock the disk automatically"),
        "{said}"
    );
    let check = stdout_json(&boot, "check");
    assert_eq!(
        verdicts(&check),
        [Answer::Unlock, Answer::Unlock],
        "{check:#?}"
    );
    // What was sealed for is in the kernel log: files, digests and registers.
    let log = stdout(&boot, "log");
    let kernel = format!("/boot/vmlinuz-{} SHA-256 ", machine.new.version);
    for words in ["had the boot secret sealed", "PCR 17 ", "PCR 19 ", &kernel] {
        assert!(log.contains(words), "{words}: {log}");
    }
    recorded
}

/// The machine after the installation. It is made once for the tests that run side by side: each
/// takes a copy.
struct After {
    machine: Installed,
    recorded: Recorded,
}

static AFTER: Mutex<Weak<After>> = Mutex::new(Weak::new());

fn after_installation() -> Arc<After> {
    let mut known = AFTER.lock().unwrap();
    if let Some(after) = known.upgrade() {
        return after;
    }
    let machine = Installed::make("update", Firmware::Bios).unwrap();
    let first = machine.menu().unwrap().remove(0);
    assert_eq!(first.id, FIRST_ENTRY);
    let recorded = install(&machine, &first);
    let after = Arc::new(After { machine, recorded });
    *known = Arc::downgrade(&after);
    after
}

#[test]
fn no_power_cut_while_a_kernel_is_installed_matters() {
    let after = after_installation();
    let machine = after.machine.copied("update-power-cut").unwrap();
    let switch = after.recorded.assert_unlocks_after_every_write(&machine);
    after.recorded.rewind(&machine, switch);
    let entry = machine.menu().unwrap().remove(0);
    assert_eq!(entry.id, FIRST_ENTRY, "the menu is the old one yet");
    // The root file system was cut off in the middle of dpkg's work: that it is unlocked counts.
    let cut = run(&machine, &entry, vec![]);
    let report = cut.outcome.boot_report().unwrap();
    assert_eq!(report.unlocked_by, Some(Opened::Tpm), "{report:#?}");
}

#[test]
fn a_new_kernel_unlocks_and_the_old_one_still_does() {
    let after = after_installation();
    let machine = after.machine.copied("update-both").unwrap();
    let (old, new) = (machine.old.version.clone(), machine.new.version.clone());
    // The default entry is the new kernel. What was predicted is what is played.
    let new_entry = machine.menu().unwrap().remove(0);
    assert!(new_entry.boots(&new), "{new_entry:?}");
    let commands = vec![
        shell("uname", "uname -r", 10),
        shell("status", "taoboot status --json", 60),
        shell("early", "taoboot retire 2>&1; test $? = 2", 60),
        shell("again", "grub-reboot '0>1'", 10),
    ];
    let boot = run(&machine, &new_entry, commands);
    unlocked(&boot);
    assert_eq!(stdout(&boot, "uname"), new);
    assert_eq!(cmdline(&boot), new_entry.cmdline());
    let status: Value = stdout_json(&boot, "status");
    assert_eq!(status["would_open"], true);
    // There is no counter yet.
    assert!(stdout(&boot, "early").contains("--rollback-counter"));

    // The old one, chosen with grub-reboot: it has a new entry, so another launch than before.
    let old_entry = machine.entry_of(&old).unwrap();
    let boot = run(&machine, &old_entry, vec![shell("uname", "uname -r", 10)]);
    unlocked(&boot);
    assert_eq!(stdout(&boot, "uname"), old);
    assert_eq!(cmdline(&boot), old_entry.cmdline());
}

#[test]
fn the_old_kernel_is_retired_for_good_when_the_new_one_has_booted_well() {
    let after = after_installation();
    let machine = after.machine.copied("update-retired").unwrap();
    let (old, new) = (machine.old.version.clone(), machine.new.version.clone());
    let new_entry = machine.menu().unwrap().remove(0);
    let old_entry = machine.entry_of(&old).unwrap();
    let volume = "--volume /dev/disk/by-id/virtio-root";
    let commands = vec![
        shell("limited", "taoboot reseal --rollback-counter --json", 60),
        shell(
            "wiped",
            &format!("taoboot wipe {volume} --without-limit"),
            30,
        ),
        // What an attacker copies while the old image is still approved.
        shell(
            "copy",
            "sync; dd if=/dev/disk/by-id/virtio-root of=/boot/header.old bs=1M count=16 && sync",
            60,
        ),
        shell("early", "taoboot retire 2>&1; test $? = 2", 60),
        shell("booted", "taoboot booted", 30),
        shell("retire", "taoboot retire --json", 90),
        shell("check", "taoboot check-next-boot --json", 60),
        // And a kernel put in place without the hook: one byte more.
        shell(
            "replace",
            &format!("cp /boot/vmlinuz-{new} /root/ && printf x >> /boot/vmlinuz-{new} && sync"),
            30,
        ),
        shell("ask", "taoboot check-next-boot --json; test $? = 1", 60),
        shell("again", "grub-reboot '0>1'", 10),
    ];
    let boot = run(&machine, &new_entry, commands);
    unlocked(&boot);
    stdout(&boot, "limited");
    stdout(&boot, "wiped");
    stdout(&boot, "copy");
    assert!(stdout(&boot, "early").contains("booted well"));
    let retired: Value = stdout_json(&boot, "retire");
    assert_eq!(retired["kept"].as_array().unwrap().len(), 1, "{retired:#}");
    assert_eq!(
        retired["without_limit"],
        Value::Array(vec![]),
        "{retired:#}"
    );
    assert_eq!(
        verdicts(&stdout_json(&boot, "check")),
        [Answer::Unlock, Answer::Ask]
    );
    let ask = stdout_json(&boot, "ask");
    assert_eq!(verdicts(&ask), [Answer::Ask, Answer::Ask], "{ask:#?}");
    assert!(ask.entries[0].why.contains("PCR 18"), "{ask:#?}");

    // GRUB boots the old one, for which the attacker has put the old header back.
    put_header_back(&machine);
    refused(&machine, &old_entry, "the approval is retired");
    refused(&machine, &new_entry, "PCR 18 (/boot/vmlinuz-");
}

/// The attacker writes the old LUKS header, with the old records, over the new one.
fn put_header_back(machine: &Installed) {
    use std::os::unix::fs::FileExt;
    let copy = machine.world.directory.join("header.old");
    let content = machine.boot.content().unwrap();
    content.copy_out("header.old", &copy).unwrap();
    let header = std::fs::read(&copy).unwrap();
    assert_eq!(header.len(), 16 << 20);
    let root = std::fs::File::options()
        .write(true)
        .open(&machine.world.root);
    root.unwrap().write_all_at(&header, 0).unwrap();
}

#[test]
fn the_generated_menu_boots_and_unlocks_with_uefi_firmware_too() {
    let machine = Installed::make("update-uefi", Firmware::Efi).unwrap();
    let first = machine.menu().unwrap().remove(0);
    let commands = vec![
        shell("trust", &trust(&machine, &first), 60),
        shell("refresh", "/usr/lib/taoboot/kernel refresh 2>&1", 200),
        shell("check", "taoboot check-next-boot --json", 60),
    ];
    let boot = run(&machine, &first, commands);
    unlocked(&boot);
    let said = stdout(&boot, "refresh");
    assert_eq!(
        verdicts(&stdout_json(&boot, "check")),
        [Answer::Unlock],
        "{said}"
    );
    let entry = machine.menu().unwrap().remove(0);
    assert_ne!(entry.id, FIRST_ENTRY);
    let boot = run(&machine, &entry, vec![]);
    unlocked(&boot);
    assert_eq!(cmdline(&boot), entry.cmdline());
}
