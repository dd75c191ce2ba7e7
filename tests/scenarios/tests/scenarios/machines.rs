//! Machines as distributions' installers make them: each boots, and its userland asks for nothing.

use guest::orders::Orders;
use harness::disk::orders::shell;
use harness::installer::{self, Layout};
use harness::world::World;
use serde_json::Value;

use super::common::assert_stopped_open;

fn stdout<'a>(probe: &'a Value, command: &str) -> &'a str {
    let result = &probe["commands"][command];
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    result["stdout"].as_str().unwrap().trim()
}

/// Debian's "guided, encrypted LVM": root and swap are logical volumes, and systemd and lvm2 find
/// what they find after Debian's own initramfs. The volume has the name that crypttab says.
#[test]
fn debians_encrypted_lvm_boots_twice_and_its_userland_asks_for_nothing() {
    let plan = installer::plan(Layout::DebianLvm).unwrap();
    let world = World::make("machine-debian-lvm", &plan).unwrap();
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", "systemctl is-system-running --wait"),
                shell("jobs", "systemctl list-jobs --no-legend"),
                shell("root", "findmnt -n -o SOURCE /"),
                shell("swap", "swapon --noheadings --show=NAME | xargs -n1 realpath; \
                     echo \"swap_1 $(realpath /dev/mapper/debian--vg-swap_1)\""),
                shell("crypt", "cryptsetup status vda5_crypt && systemctl is-active systemd-cryptsetup@vda5_crypt"),
                shell("lvs", "lvs --noheadings -o lv_full_name,lv_active --separator ,"),
                shell("link", "realpath /dev/debian-vg/root"),
                shell("uuid", "dmsetup info -c --noheadings -o uuid debian--vg-root; \
                     lvs --noheadings -o vg_uuid,lv_uuid debian-vg/root | tr -d ' -'"),
                shell("below", "dmsetup deps -o devname debian--vg-root"),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_eq!(stdout(probe, "state"), "running", "boot {boot}: {probe:#}");
        assert_eq!(stdout(probe, "jobs"), "", "boot {boot}");
        assert_eq!(stdout(probe, "root"), "/dev/mapper/debian--vg-root");
        let swap = stdout(probe, "swap");
        let (active, own) = swap.split_once("swap_1 ").unwrap();
        assert!(active.lines().any(|device| device == own), "{swap}");
        let crypt = stdout(probe, "crypt");
        assert!(
            crypt.contains("vda5_crypt is active and is in use"),
            "{crypt}"
        );
        assert!(
            crypt.contains("type:    LUKS2") && crypt.ends_with("active"),
            "{crypt}"
        );
        let volumes = stdout(probe, "lvs").lines().map(str::trim);
        assert!(volumes.eq([
            "debian-vg/a-guest,active",
            "debian-vg/root,active",
            "debian-vg/swap_1,active"
        ]));
        assert!(stdout(probe, "link").starts_with("/dev/dm-"));
        let (uuid, of_lvm) = stdout(probe, "uuid").split_once('\n').unwrap();
        assert_eq!(
            uuid,
            format!("LVM-{of_lvm}"),
            "lvm2 takes the mapping for its own"
        );
        assert!(stdout(probe, "below").contains("(vda5_crypt)"));
        assert!(!done.console.contains("passphrase for"), "{}", done.console);
    }
}

/// `root=` is measured, so it is the owner's; but what it names may be on any disk. Only the
/// enrolled volume's group is looked at, and the volume is closed again.
#[test]
fn root_in_another_volume_group_is_refused_and_the_volume_is_closed() {
    let plan = installer::plan(Layout::DebianLvm).unwrap();
    let plan = plan.cmdline("root=/dev/mapper/other--vg-root");
    let world = World::make("machine-lvm-elsewhere", &plan).unwrap();
    let outcome = world.boot(&[Orders::default()]).unwrap();
    assert_stopped_open(
        &outcome,
        "lvm",
        &[
            "root=/dev/mapper/other--vg-root is not on the volume that was unlocked",
            "the volume group debian-vg",
            "has a-guest, root, swap_1",
        ],
    );
}

/// Whoever may write to another volume of the group, a guest to its disk, gives its file system root's
/// UUID; its name sorts before root's. /init boots neither.
#[test]
fn a_guests_volume_with_roots_uuid_is_not_taken_for_root() {
    let plan = installer::plan(Layout::DebianLvm).unwrap();
    let plan = plan.cmdline(&format!("root=UUID={}", installer::ROOT_UUID));
    let world = World::make("machine-lvm-guest", &plan).unwrap();
    let outcome = world.boot(&[Orders::default()]).unwrap();
    let report = assert_stopped_open(
        &outcome,
        "lvm",
        &["is on two logical volumes, a-guest and root: name the right one"],
    );
    assert_eq!(report["left_open"], serde_json::json!([]), "{report:#}");
}
