//! Debian's kernel for every machine, a USB disk and f2fs: Arch's machine, and what is said where the disk's
//! driver is missing.

use std::path::Path;
use std::process::Command;

use harness::assets::Assets;
use harness::disk::{Bus, Disk, orders::shell};
use harness::installer::{self, Layout};
use harness::machine::{DirectKernel, Machine};
use harness::programs;
use harness::world::{MoreDisk, World};
use serde_json::Value;

use agent::boot::phase::Phase;
use agent::boot::report::Report;

use super::boot_installed::{JOBS, STATE, assert_content, stdout};
use super::common::assert_stopped;

/// `usb_storage.delay_use=` of the machine's command line.
const DELAY_MS: f64 = 3000.0;

fn taoboot_image(arguments: &[&str]) -> String {
    let program = programs::path("taoboot-image").unwrap();
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The plan and the configuration of an image that its machine made with --host-only.
fn assert_of_this_machine(image: &Path) {
    let image = image.to_str().unwrap();
    let plan = taoboot_image(&["cat", image, "/etc/taoboot.modules"]);
    let has = |module: &str| plan.contains(&format!("\nmodule {module} "));
    for module in ["xhci_pci", "usb_storage", "uas", "sd_mod", "f2fs"] {
        assert!(has(module), "{module} is not in\n{plan}");
    }
    for module in ["ext4", "nvme", "megaraid_sas"] {
        assert!(!has(module), "{module} is in\n{plan}");
    }
    let config = taoboot_image(&["cat", image, "/etc/taoboot.toml"]);
    let device = format!("device = \"UUID={}\"", harness::world::VOLUME_UUID);
    for line in ["[[volume]]", &device, "name = \"root\""] {
        assert!(config.lines().any(|found| found == line), "{config}");
    }
}

/// A USB stick with root's file system as anybody can make it: its label, its UUID, not encrypted.
fn look_alike(directory: &Path) -> MoreDisk {
    let image = directory.join("stick.img");
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(64 << 20).unwrap();
    let made = Command::new("/usr/sbin/mkfs.f2fs")
        .args(["-q", "-l", "arch", "-U", installer::ROOT_UUID])
        .arg(&image)
        .status();
    assert!(made.unwrap().success());
    MoreDisk {
        image,
        serial: "stick".into(),
        enrolled: false,
    }
}

/// systemd's words, f2fs, and a disk that comes seconds after its controller. The image was made on the
/// machine, enrolled with one command; at the second boot a stick looks like root.
#[test]
fn archs_f2fs_on_a_usb_disk_boots_twice_from_the_image_that_it_made() {
    let plan = installer::plan(Layout::Arch).unwrap();
    assert_of_this_machine(plan.image.as_deref().unwrap());
    let mut world = World::make("machine-arch", &plan).unwrap();
    for boot in 0..2 {
        let done = world
            .carry_out(vec![
                shell("state", STATE),
                shell("jobs", JOBS),
                shell("root", "findmnt -n -o SOURCE,FSTYPE,LABEL /"),
                shell("swap", "swapon --noheadings --show=NAME"),
                shell("crypt", "cryptsetup status root"),
                shell("usb", "lsblk -n -d -o NAME,TRAN,FSTYPE | grep usb"),
                shell("report", "cat /run/tao/boot.json"),
            ])
            .unwrap();
        let probe = &done.probe;
        assert_content(&done, boot);
        let root: Vec<&str> = stdout(probe, "root").split_whitespace().collect();
        assert_eq!(root, ["/dev/mapper/root", "f2fs", "arch"]);
        assert!(stdout(probe, "swap").starts_with("/dev/"), "{probe:#}");
        let crypt = stdout(probe, "crypt");
        for word in [
            "root is active and is in use",
            "type:    LUKS2",
            "discards",
            "no_read_workqueue",
        ] {
            assert!(crypt.contains(word), "{word}: {crypt}");
        }
        assert!(!crypt.contains("no_write_workqueue"), "{crypt}");
        let usb = stdout(probe, "usb").lines().count();
        assert_eq!(usb, if boot == 0 { 1 } else { 2 }, "{probe:#}");
        assert_waited(probe);
        if boot == 0 {
            let directory = world.directory.clone();
            world.more.push(look_alike(&directory));
        }
    }
}

/// The disk was not there when /init looked for it first.
fn assert_waited(probe: &Value) {
    let report: Report = serde_json::from_str(stdout(probe, "report")).unwrap();
    let devices = report
        .phases
        .iter()
        .find(|phase| phase.name == Phase::Devices);
    assert!(devices.unwrap().ms >= DELAY_MS, "{report:#?}");
}

/// An image without the driver of the only disk: the sentence says which one it is, for what.
#[test]
fn a_disk_whose_driver_is_not_in_the_image_is_named_with_it() {
    let assets = Assets::load().unwrap();
    let machine = Machine::new("usb-driverless").unwrap();
    let directory = machine.directory().to_path_buf();
    let config = directory.join("taoboot.toml");
    std::fs::write(&config, "failure_delay = 0\n").unwrap();
    let image = directory.join("initrd-taoboot");
    let kernel = &assets.kernel_general;
    taoboot_image(&[
        "--kernel",
        &kernel.version,
        "--modules-dir",
        kernel.modules.to_str().unwrap(),
        "--kernel-config",
        kernel.config.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--agent",
        programs::path("init").unwrap().to_str().unwrap(),
        "--module",
        "xhci_pci",
        "--output",
        image.to_str().unwrap(),
    ]);
    let disk = look_alike(&directory);
    let outcome = machine
        .disk(Disk::new(&disk.image, &disk.serial).on(Bus::Usb))
        .direct_kernel(DirectKernel {
            kernel: kernel.vmlinuz.clone(),
            initramfs: image,
            cmdline: "console=ttyS0 panic=-1 quiet root=UUID=7a0b0099-0099-4099-8099-000000000099 \
                 taoboot.device_timeout=3 taoboot.report=/dev/ttyS1"
                .to_owned(),
        })
        .run()
        .unwrap();
    assert_stopped(
        &outcome,
        Phase::Devices,
        &[
            "did not appear within 3 s",
            "disks seen: none; without a driver in this image: pci 0000:00:1f.2 needs ahci, usb ",
            ":1.0 needs uas or usb_storage",
        ],
    );
}
