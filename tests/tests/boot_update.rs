//! A new kernel is installed in the running machine, and the machine unlocks itself after the
//! reboot: with real dpkg, grub-mkconfig, GRUB, tboot, kernels and LUKS. Only the launch itself
//! is simulated, from the very files that lie on the boot partition.

mod update;

use serde_json::Value;
use tests::disk::boot::Firmware;
use tests::installed::{FIRST_ENTRY, Installed, NEW_KERNEL};
use tests::orders::End;

use update::{Boot, cmdline, run, shell, stdout, stdout_json, unlocked};

/// What an administrator types, or apt for him.
fn install() -> String {
    format!("dpkg --force-depends -i {NEW_KERNEL}")
}

/// Of the entries that boot tboot.
fn verdicts(answer: &Value) -> Vec<String> {
    let entries = answer["entries"].as_array().unwrap().iter();
    entries
        .filter(|entry| !entry["id"].as_str().unwrap().contains("recovery"))
        .map(|entry| entry["verdict"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_kernel_installed_by_its_package_unlocks_after_the_reboot_and_so_does_the_old_one() {
    let machine = Installed::make("update", Firmware::Bios).unwrap();
    let (old, new) = (machine.old.version.clone(), machine.new.version.clone());
    let first = machine.menu().unwrap().remove(0);
    assert_eq!(first.id, FIRST_ENTRY);

    // The first boot, with the entry that the harness wrote: install.
    let boot = run(
        &machine,
        &first,
        vec![
            shell("install", &install(), 300),
            shell("check", "taoboot check-next-boot --json", 60),
            shell("status", "taoboot status", 60),
            shell("log", "dmesg | grep 'reseal:'", 10),
        ],
        End::Poweroff,
    );
    unlocked(&boot);
    let installed = stdout(&boot, "install").to_owned();
    let check = stdout_json(&boot, "check");
    assert_eq!(verdicts(&check), ["unlock", "unlock"], "{check:#}");
    assert!(stdout(&boot, "log").contains("had the boot secret sealed"));
    assert!(
        installed.contains("unlock"),
        "the hook prints its verdict: {installed}"
    );

    // The default entry is the new kernel now. What the machine predicted is what is played.
    let entry = machine.menu().unwrap().remove(0);
    assert!(entry.boots(&new), "{entry:?}");
    let boot = run(
        &machine,
        &entry,
        vec![
            shell("uname", "uname -r", 10),
            shell("pcrs", "taoboot status --json", 60),
            shell("again", "grub-reboot '0>1'", 10),
        ],
        End::Poweroff,
    );
    unlocked(&boot);
    assert_eq!(stdout(&boot, "uname"), new);
    assert_eq!(cmdline(&boot), entry.cmdline());
    let label = stdout_json(&boot, "pcrs");
    assert_eq!(label["would_open"], true, "{label:#}");

    // The old one, chosen with grub-reboot, as its generated entry has it.
    let entry = machine.entry_of(&old).unwrap();
    let boot = run(
        &machine,
        &entry,
        vec![
            shell("uname", "uname -r", 10),
            // A kernel put in place without the hook: one byte more.
            shell(
                "replace",
                &format!("printf x >> /boot/vmlinuz-{new} && sync"),
                10,
            ),
            shell("check", "taoboot check-next-boot --json; test $? = 1", 60),
        ],
        End::Poweroff,
    );
    unlocked(&boot);
    assert_eq!(stdout(&boot, "uname"), old);
    assert_eq!(cmdline(&boot), entry.cmdline());
    let check = stdout_json(&boot, "check");
    assert_eq!(check["entries"][0]["verdict"], "ask", "{check:#}");
    let why = check["entries"][0]["why"].as_str().unwrap();
    assert!(why.contains("PCR 18"), "{why}");

    // And so it is.
    let entry = machine.entry_of(&new).unwrap();
    let outcome = update::refused(&machine, &entry);
    let report = outcome.report_of("taoboot").unwrap();
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("PCR 18"), "{reason}");
}

#[test]
fn a_retired_image_does_not_unlock_after_the_counter_was_raised() {
    let machine = Installed::make("retire", Firmware::Bios).unwrap();
    let old = machine.old.version.clone();
    let first = machine.menu().unwrap().remove(0);
    let boot = run(
        &machine,
        &first,
        vec![
            shell("install", &install(), 300),
            shell("limited", "taoboot reseal --rollback-counter --json", 60),
            // Records without a limit would open for ever.
            shell(
                "unlimited",
                "taoboot status --json | tr -d ' \\n' | grep -o '\"record\":[0-9]*,\"keyslot\":[0-9]*,\"label\":\"[^\"]*\",\"created\":[0-9]*,\"pcrs\":\"[^\"]*\",\"parent\":\"[^\"]*\",\"secret_id\":\"[^\"]*\",\"swap\":[^,]*,\"limit\":null' | grep -o '^\"record\":[0-9]*' | cut -d: -f2 | while read n; do taoboot wipe --volume /dev/disk/by-id/virtio-root --record $n; done",
                60,
            ),
            shell("early", "taoboot retire 2>&1; test $? = 2", 60),
        ],
        End::Poweroff,
    );
    unlocked(&boot);
    stdout(&boot, "limited");
    stdout(&boot, "unlimited");
    assert!(
        stdout(&boot, "early").contains("booted well"),
        "nothing is retired before the new launch has proved itself"
    );

    let new_entry = machine.menu().unwrap().remove(0);
    let boot = run(
        &machine,
        &new_entry,
        vec![
            shell("booted", "taoboot booted", 30),
            shell("retire", "taoboot retire --json", 90),
            shell("check", "taoboot check-next-boot --json", 60),
        ],
        End::Poweroff,
    );
    unlocked(&boot);
    let retired = stdout_json(&boot, "retire");
    assert_eq!(retired["kept"].as_array().unwrap().len(), 1, "{retired:#}");
    assert!(
        !retired["retired"].as_array().unwrap().is_empty(),
        "{retired:#}"
    );
    assert_eq!(
        retired["without_limit"],
        Value::Array(vec![]),
        "{retired:#}"
    );

    let old_entry = machine.entry_of(&old).unwrap();
    update::refused(&machine, &old_entry);
    let boot = run(&machine, &new_entry, vec![], End::Poweroff);
    unlocked(&boot);
}

#[test]
fn the_generated_menu_boots_with_uefi_firmware_too() {
    let machine = Installed::make("update-uefi", Firmware::Efi).unwrap();
    let first = machine.menu().unwrap().remove(0);
    let boot = run(
        &machine,
        &first,
        vec![shell("install", &install(), 300)],
        End::Poweroff,
    );
    unlocked(&boot);
    stdout(&boot, "install");
    let entry = machine.menu().unwrap().remove(0);
    assert!(entry.boots(&machine.new.version), "{entry:?}");
    let Boot { outcome } = run(&machine, &entry, vec![], End::Poweroff);
    unlocked(&Boot { outcome });
}
