//! Machines as distributions' installers make them: each boots, and its userland asks for nothing.

use std::time::Duration;

use guest::orders::Orders;
use harness::disk::orders::shell;
use harness::installer::{self, Layout};
use harness::world::{CarriedOut, World};
use serde_json::Value;

use super::common::assert_stopped_open;
use agent::boot::{
    phase::Phase,
    report::{Outcome, Report},
};

pub fn stdout<'a>(probe: &'a Value, command: &str) -> &'a str {
    let result = &probe["commands"][command];
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    result["stdout"].as_str().unwrap().trim()
}

/// The orders `state` and `jobs` of every machine.
pub const STATE: &str = "systemctl is-system-running --wait";
pub const JOBS: &str = "systemctl list-jobs --no-legend";

/// The userland is up, waits for nothing, and asked for nothing.
pub fn assert_content(done: &CarriedOut, boot: u32) {
    let probe = &done.probe;
    assert_eq!(stdout(probe, "state"), "running", "boot {boot}: {probe:#}");
    assert_eq!(stdout(probe, "jobs"), "", "boot {boot}");
    assert!(!done.console.contains("passphrase for"), "{}", done.console);
}

/// The words of each line of the order `mounts`.
fn mounts(probe: &Value) -> Vec<Vec<&str>> {
    let lines = stdout(probe, "mounts").lines();
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

/// Debian's "guided, encrypted LVM": root and swap are logical volumes, and systemd and lvm2 find
/// what they find after Debian's own initramfs. The volume has the name that crypttab says.
#[test]
fn debians_encrypted_lvm_boots_twice_and_its_userland_asks_for_nothing() {
    // With secret memory, which kernels have by themselves from 6.5, and what Debian's installer sets.
    let plan = installer::plan(Layout::DebianLvm)
        .unwrap()
        .cmdline("secretmem.enable=1 resume=/dev/mapper/debian--vg-swap_1");
    let world = World::make("machine-debian-lvm", &plan).unwrap();
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", STATE),
                shell("jobs", JOBS),
                shell("root", "findmnt -n -o SOURCE /"),
                shell("swap", "swapon --noheadings --show=NAME | xargs -n1 realpath; \
                     echo \"swap_1 $(realpath /dev/mapper/debian--vg-swap_1)\""),
                shell("crypt", "cryptsetup status vda5_crypt && systemctl is-active systemd-cryptsetup@vda5_crypt"),
                shell("lvs", "lvs --noheadings -o lv_full_name,lv_active --separator ,"),
                shell("link", "realpath /dev/debian-vg/root"),
                shell("uuid", "dmsetup info -c --noheadings -o uuid debian--vg-root; \
                     lvs --noheadings -o vg_uuid,lv_uuid debian-vg/root | tr -d ' -'"),
                shell("below", "dmsetup deps -o devname debian--vg-root"),
                shell("hibernation", "cat /sys/power/disk; ! echo disk > /sys/power/state"),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_content(&done, boot);
        // Without [swap] resume = true the Tao host's secret memory forbids it.
        assert_eq!(stdout(probe, "hibernation"), "[disabled]");
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
    }
}

/// /home and /var on logical volumes of their own, a second encrypted disk that /init opens with the
/// same unsealed secret, a third that systemd opens with a key file on root, and a fourth on which root goes on.
#[test]
fn debians_several_volumes_are_opened_with_one_unseal_and_its_userland_asks_for_nothing() {
    let plan = installer::plan(Layout::DebianVolumes).unwrap();
    let world = World::make("machine-debian-volumes", &plan).unwrap();
    let further = [installer::DATA_UUID, installer::MORE_UUID];
    for (place, uuid) in further.iter().enumerate() {
        assert_eq!(world.enrolled["further"][place]["uuid"], *uuid);
    }
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", STATE),
                shell("jobs", JOBS),
                shell("mounts", "for place in / /home /var /srv/data /srv/keyed; do findmnt -n -o TARGET,SOURCE $place; done"),
                shell("crypt", "for name in vda5_crypt data_crypt more_crypt keyed_crypt; do cryptsetup status $name; \
                     systemctl is-active systemd-cryptsetup@$name; done"),
                shell("lvs", "lvs --noheadings -o lv_full_name,lv_active --separator ,"),
                shell("report", "cat /run/tao/boot.json"),
                shell("below", "dmsetup deps -o devname debian--vg-root"),
                shell("status", "taoboot status --json --volume /dev/disk/by-uuid/7a0b0013-0013-4013-8013-000000000013; true"),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_content(&done, boot);
        let mounts = mounts(probe);
        assert_eq!(
            mounts,
            [
                ["/", "/dev/mapper/debian--vg-root"],
                ["/home", "/dev/mapper/debian--vg-home"],
                ["/var", "/dev/mapper/debian--vg-var"],
                ["/srv/data", "/dev/mapper/data_crypt"],
                ["/srv/keyed", "/dev/mapper/keyed_crypt"],
            ]
        );
        let crypt = stdout(probe, "crypt");
        for name in ["vda5_crypt", "data_crypt", "more_crypt", "keyed_crypt"] {
            assert!(
                crypt.contains(&format!("{name} is active and is in use")),
                "{crypt}"
            );
        }
        assert_eq!(
            crypt.lines().filter(|line| *line == "active").count(),
            4,
            "{crypt}"
        );
        // As the measured command line says, and nothing of the kind for the others.
        assert_eq!(crypt.matches("flags:   discards").count(), 1, "{crypt}");
        let report: Report = serde_json::from_str(stdout(probe, "report")).unwrap();
        let opened = report.further_volumes.iter();
        assert!(
            opened
                .map(|volume| volume.name.as_str())
                .eq(["data_crypt", "more_crypt"]),
            "{report:#?}"
        );
        let below = stdout(probe, "below");
        assert!(
            below.contains("(vda5_crypt)") && below.contains("(more_crypt)"),
            "{below}"
        );
        let status: Value = serde_json::from_str(stdout(probe, "status")).unwrap();
        assert_eq!(
            status["further"][0]["enrolled_with"],
            harness::world::VOLUME_UUID
        );
    }
}

/// A disk with the further volume's UUID, made by somebody who knows its passphrase only: /init does not
/// open it, and the machine goes on without it.
#[test]
fn a_look_alike_of_a_further_volume_is_not_opened() {
    let mut plan = installer::plan(Layout::DebianVolumes).unwrap();
    // The third disk with the second's UUID: nothing on it was enrolled.
    let mut foreign = plan.more_disks[1].clone();
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("foreign.img");
    harness::disk::cache::copy(&foreign.image, &image).unwrap();
    harness::tool::Tool::new("cryptsetup")
        .args(["luksUUID", "-q", "--uuid", installer::DATA_UUID])
        .arg(&image)
        .run()
        .unwrap();
    plan.more_disks.remove(1);
    let mut world = World::make("machine-look-alike", &plan).unwrap();
    foreign.image = image;
    foreign.serial = "disk1".into();
    foreign.enrolled = false;
    // Without the fourth there is no root.
    world.more[0] = foreign;
    // Its systemd goes on waiting for the volume, as its fstab says.
    let machine = world.machine(Some(world.launch.clone())).unwrap();
    let running = machine.start().unwrap();
    // The end of a report's line, which are its warnings.
    let patience = Duration::from_secs(240);
    running.report.wait_for("]}\r\n", patience).unwrap();
    let outcome = running.end().unwrap();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.outcome, Outcome::Booted, "{report:#?}");
    let warnings = report.warnings.join(" ");
    assert!(
        warnings.contains("data_crypt is not open") && warnings.contains("not enrolled with"),
        "{report:#?}"
    );
    let opened = report.further_volumes.iter();
    assert!(
        opened.map(|volume| &volume.name).eq(["more_crypt"]),
        "{report:#?}"
    );
}

/// Fedora's btrfs with subvolumes on two disks: the volumes are called luks-UUID, as its command line says,
/// and the kernel is told of both before root is mounted.
#[test]
fn fedoras_btrfs_on_two_disks_boots_twice_and_its_userland_asks_for_nothing() {
    let plan = installer::plan(Layout::Fedora).unwrap();
    let world = World::make("machine-fedora", &plan).unwrap();
    let name = format!("luks-{}", harness::world::VOLUME_UUID);
    let other = format!("luks-{}", installer::DATA_UUID);
    let unit = |name: &str| format!("systemd-cryptsetup@{}", name.replace('-', "\\x2d"));
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", STATE),
                shell("jobs", JOBS),
                shell(
                    "mounts",
                    "for place in / /home; do findmnt -n -o TARGET,SOURCE,FSTYPE $place; done",
                ),
                shell(
                    "crypt",
                    &format!(
                        "for name in {name} {other}; do cryptsetup status $name; done; \
                     systemctl is-active '{}' '{}'",
                        unit(&name),
                        unit(&other)
                    ),
                ),
                shell(
                    "btrfs",
                    "btrfs filesystem show --mounted /; btrfs subvolume list /",
                ),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_content(&done, boot);
        let mounts = mounts(probe);
        for (mount, subvolume) in mounts.iter().zip(["/root", "/home"]) {
            // Which of the two devices is named is the kernel's choice.
            assert!(mount[1].starts_with("/dev/mapper/luks-"), "{mounts:?}");
            assert!(mount[1].ends_with(&format!("[{subvolume}]")), "{mounts:?}");
            assert_eq!(mount[2], "btrfs");
        }
        assert_eq!(mounts.len(), 2);
        let crypt = stdout(probe, "crypt");
        assert_eq!(
            crypt.matches("is active and is in use").count(),
            2,
            "{crypt}"
        );
        assert!(crypt.ends_with("active\nactive"), "{crypt}");
        let btrfs = stdout(probe, "btrfs");
        for name in [&name, &other] {
            assert!(btrfs.contains(&format!("/dev/mapper/{name}")), "{btrfs}");
        }
        assert!(
            btrfs.contains("Total devices 2") && !btrfs.contains("missing"),
            "{btrfs}"
        );
    }
}

/// A server: UEFI, two NVMe disks, RAID 1 below the volume, XFS as root. Enrolled on the machine itself,
/// after a first boot with the passphrase.
#[test]
fn a_servers_mirrored_volume_boots_twice_and_once_without_a_disk() {
    let plan = installer::plan(Layout::Server).unwrap();
    let world = World::make("machine-server", &plan).unwrap();
    let enrolled = world.enroll_inside("--all").unwrap();
    assert_eq!(enrolled["volume"], "/dev/md1", "{enrolled:#}");
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", STATE),
                shell("jobs", JOBS),
                shell(
                    "mounts",
                    "for place in / /boot; do findmnt -n -o TARGET,SOURCE,FSTYPE $place; done",
                ),
                shell(
                    "crypt",
                    "cryptsetup status md1_crypt; systemctl is-active systemd-cryptsetup@md1_crypt",
                ),
                shell("array", "mdadm --detail /dev/md1"),
                shell("status", "taoboot status --json"),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_content(&done, boot);
        let mounts = mounts(probe);
        assert_eq!(mounts[0], ["/", "/dev/mapper/md1_crypt", "xfs"]);
        assert!(mounts[1][1].starts_with("/dev/md"), "{mounts:?}");
        let crypt = stdout(probe, "crypt");
        assert!(
            crypt.contains("is active and is in use") && crypt.ends_with("active"),
            "{crypt}"
        );
        let array = stdout(probe, "array");
        for line in [
            "Version : 1.2",
            "Raid Level : raid1",
            "Active Devices : 2",
            "/dev/nvme",
        ] {
            assert!(array.contains(line), "{array}");
        }
    }
    // One disk is taken out: nothing is started that the configuration does not allow.
    let mut without = world.copied("machine-server-degraded").unwrap();
    without.more.clear();
    let outcome = without.boot(&[Orders::default()]).unwrap();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.phase, Some(Phase::Arrays), "{report:#?}");
    let reason = report.reason.as_deref().unwrap();
    assert!(
        reason.contains("no member in slot 1") && reason.contains("degraded = true"),
        "{reason}"
    );
    assert_eq!(report.left_open, Some(Vec::new()), "{report:?}");
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
        Phase::Lvm,
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
        Phase::Lvm,
        &["is on two logical volumes, a-guest and root: name the right one"],
    );
    assert_eq!(report.left_open, Some(Vec::new()), "{report:#?}");
}
