//! Which kernel modules are in an image, and what is made of their files.

use std::{fs, process::Command};

use serde_json::Value;
use test_support::required;

use crate::{
    image_build::plan,
    image_fixture::{Fixture, KERNEL, image, run},
};

#[test]
fn generic_drivers_come_with_their_aliases_and_firmware_and_no_network() {
    let fixture = Fixture::new();
    let text = plan(&fixture, &["--generic"]);
    for line in [
        "module nvme kernel/drivers/nvme/nvme.ko",
        "module virtio_blk kernel/drivers/block/virtio_blk.ko virtio",
        "alias virtio:d00000002v* virtio_blk",
        "alias pci:v*d*sv*sd*bc01sc08i02* nvme",
        "alias fs-xfs xfs",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        !text.contains("netcard") && !text.contains("alias cpu"),
        "{text}"
    );
    let output = run(image()
        .arg("cat")
        .arg(fixture.path("initrd.img"))
        .arg("lib/firmware/nvme/blob.bin"));
    assert_eq!(output.stdout, b"firmware");
    let output = run(&mut fixture.command(&fixture.path("initrd.img"), &["--generic", "-v"]));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("not found: not/there.bin")
    );
}

#[test]
fn host_only_takes_what_the_devices_ask_for() {
    let fixture = Fixture::new();
    for (place, alias) in [
        ("pci0/virtio0", "virtio:d00000002v00001AF4"),
        (
            "pci1",
            "pci:v00001234d00000001sv00000000sd00000000bc02sc00i00",
        ),
    ] {
        let directory = fixture.path("sys/devices").join(place);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("modalias"), format!("{alias}\n")).unwrap();
    }
    let sysfs = fixture.path("sys");
    let text = plan(
        &fixture,
        &["--host-only", "--sysfs", sysfs.to_str().unwrap()],
    );
    assert!(
        text.contains("alias virtio:d00000002v* virtio_blk"),
        "{text}"
    );
    assert!(
        !text.contains("nvme") && !text.contains("netcard"),
        "{text}"
    );
}

#[test]
fn packed_modules_are_unpacked_and_give_the_same_image() {
    let plain = Fixture::new().build(&["--generic"]);
    for (tool, suffix) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        let fixture = Fixture::new();
        let directory = fixture.path("modules/kernel/fs/ext4");
        let mut command = Command::new(tool);
        run(command.arg("-q").arg("ext4.ko").current_dir(&directory));
        if tool == "zstd" {
            fs::remove_file(directory.join("ext4.ko")).unwrap();
        }
        let dep = fixture.path("modules/modules.dep");
        let text = fs::read_to_string(&dep).unwrap();
        fs::write(
            &dep,
            text.replace("ext4.ko:", &format!("ext4.ko.{suffix}:")),
        )
        .unwrap();
        assert!(fixture.build(&["--generic"]) == plain, "{tool}");
    }
}

/// With a real kernel: `TAOBOOT_ASSETS` is a directory whose assets.json names one. The summary of its image,
/// in which these modules are.
fn image_of_real_kernel(kernel: &str, options: &[&str], wanted: &[&str]) -> Option<Value> {
    let assets = std::env::var("TAOBOOT_ASSETS").ok();
    let assets = required(assets, "a kernel in the directory TAOBOOT_ASSETS")?;
    let json = fs::read(std::path::Path::new(&assets).join("assets.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let fixture = Fixture::new();
    let mut command = image();
    command
        .args(["--kernel", json[kernel]["version"].as_str().unwrap()])
        .args(["--modules-dir", json[kernel]["modules"].as_str().unwrap()])
        .arg("--config")
        .arg(fixture.path("taoboot.toml"))
        .arg("--agent")
        .arg(fixture.path("agent"))
        .arg("--output")
        .arg(fixture.path("initrd.img"))
        .arg("--json")
        .args(options);
    let output = run(&mut command);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let output = run(image()
        .arg("cat")
        .arg(fixture.path("initrd.img"))
        .arg("/etc/taoboot.modules"));
    let plan = String::from_utf8(output.stdout).unwrap();
    for name in wanted {
        let of = |line: &str| {
            let rest = ["module ", "builtin "]
                .iter()
                .find_map(|word| line.strip_prefix(word));
            rest.is_some_and(|rest| rest.split(' ').next() == Some(name))
        };
        assert!(plan.lines().any(of), "{name} is not in\n{plan}");
    }
    Some(summary)
}

#[test]
fn a_real_kernels_modules_make_a_small_image() {
    let options = ["--module", "virtio_pci", "--module", "virtio_blk"];
    let wanted = ["dm_crypt", "xts", "virtio_blk"];
    let Some(summary) = image_of_real_kernel("kernel", &options, &wanted) else {
        return;
    };
    assert!(summary["size"].as_u64().unwrap() < 1 << 20, "{summary}");
}

/// Debian's kernel for every machine, 4,000 modules, 26,000 aliases: disks, buses, keyboards, file systems.
#[test]
fn a_generic_image_of_a_kernel_for_every_machine_has_what_their_disks_and_keyboards_need() {
    let wanted = [
        "nvme",
        "ahci",
        "virtio_blk",
        "virtio_scsi",
        "megaraid_sas",
        "mpt3sas",
        "usb_storage",
        "uas",
        "sd_mod",
        "mmc_block",
        "sdhci_pci",
        "xhci_pci",
        "ehci_pci",
        "usbhid",
        "hid_generic",
        // Parts of this kernel.
        "i8042",
        "atkbd",
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        // What f2fs asks the kernel for when it is mounted.
        "crc32_generic",
    ];
    let Some(summary) = image_of_real_kernel("kernel_general", &["--generic"], &wanted) else {
        return;
    };
    // Beside it the agent, 3 MiB.
    let size = summary["size"].as_u64().unwrap();
    assert!(size < 9 << 20, "{size}");
    eprintln!("{size} bytes in {} s", summary["seconds"]);
}

/// For the sentence that says which driver the disk that did not appear would need.
#[test]
fn an_image_says_what_the_disk_drivers_drive_that_it_lacks() {
    let fixture = Fixture::new();
    let left_out = |options: &[&str]| {
        fixture.build(options);
        let output = run(image()
            .arg("cat")
            .arg(fixture.path("initrd.img"))
            .arg("/etc/taoboot.drivers"));
        String::from_utf8(output.stdout).unwrap()
    };
    let nvme = "alias pci:v*d*sv*sd*bc01sc08i02* nvme\n";
    let virtio = "alias virtio:d00000002v* virtio_blk\n";
    // Not netcard's: no disk hangs on it.
    assert_eq!(left_out(&[]), format!("{nvme}{virtio}"));
    assert_eq!(left_out(&["--module", "virtio_blk"]), nvme);
    assert_eq!(left_out(&["--generic"]), "");
}

#[test]
fn without_module_aliases_no_device_would_find_its_driver_and_no_image_is_made() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path("modules/modules.alias")).unwrap();
    let sentence = fixture.refused(&["--generic"]);
    assert!(
        sentence.contains("modules.alias is missing: run depmod"),
        "{sentence}"
    );
    assert!(!fixture.path("initrd.img").exists());
}

#[test]
fn odd_lines_of_modules_dep_that_nothing_needs_are_warned_of() {
    let fixture = Fixture::new();
    let path = fixture.path("modules/modules.dep");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("extra/a name.ko:\n/elsewhere/b.ko:\nextra/c.ko.lz4:\n");
    fs::write(&path, &text).unwrap();
    let output = run(&mut fixture.command(&fixture.path("initrd.img"), &["--generic", "--json"]));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        summary["warnings"].as_array().unwrap().len(),
        3,
        "{summary}"
    );
    // Where one of them is asked for, the line is named.
    let sentence = fixture.refused(&["--module", "c"]);
    assert!(
        sentence.contains("extra/c.ko.lz4") && sentence.contains("passed over"),
        "{sentence}"
    );
}

#[test]
fn a_module_of_two_compressed_frames_is_taken_whole() {
    let fixture = Fixture::new();
    let inside = "kernel/drivers/md/dm-crypt.ko";
    let path = fixture.path(&format!("modules/{inside}"));
    let dep = fixture.path("modules/modules.dep");
    let module = fs::read(&path).unwrap();
    let (one, two) = module.split_at(module.len() / 2);
    let packed = [one, two]
        .map(|half| zstd::encode_all(half, 3).unwrap())
        .concat();
    fs::write(path.with_extension("ko.zst"), packed).unwrap();
    fs::remove_file(&path).unwrap();
    let text = fs::read_to_string(&dep).unwrap();
    fs::write(&dep, text.replace("dm-crypt.ko", "dm-crypt.ko.zst")).unwrap();
    fixture.build(&["--compress", "none"]);
    let output = run(image()
        .arg("cat")
        .arg(fixture.path("initrd.img"))
        .arg(format!("/lib/modules/{KERNEL}/{inside}")));
    assert!(output.stdout == module);
}
