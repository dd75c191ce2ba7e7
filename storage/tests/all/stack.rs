//! The stack of devices of machines that are directories.

use std::{fs, os::unix::fs::symlink, path::Path};

use storage::{
    device_number::Number,
    stack::{Kind, Stack, StackError},
};
use tempfile::TempDir;

/// A machine below a directory.
struct Machine(TempDir);

impl Machine {
    fn new(mountinfo: &str) -> Self {
        let machine = Self(TempDir::new().unwrap());
        machine.write("proc/self/mountinfo", mountinfo);
        for directory in ["sys/class/block", "sys/dev/block", "sys/devices"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        machine
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A link as /sys has them: relative, from a path to a path below the machine's root.
    fn link(&self, from: &str, to: &str) {
        let path = self.path(from);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let up = "../".repeat(from.split('/').count() - 1);
        symlink(Path::new(&up).join(to), path).unwrap();
    }

    /// A block device in a directory of /sys/devices.
    fn block(&self, directory: &str, number: &str, attributes: &[(&str, &str)]) {
        let place = format!("sys/devices/{directory}");
        self.write(&format!("{place}/dev"), &format!("{number}\n"));
        self.write(&format!("{place}/size"), "2048\n");
        for (name, text) in attributes {
            self.write(&format!("{place}/{name}"), &format!("{text}\n"));
        }
        let name = directory.rsplit('/').next().unwrap();
        self.link(&format!("sys/dev/block/{number}"), &place);
        self.link(&format!("sys/class/block/{name}"), &place);
    }

    fn slave(&self, of: &str, directory: &str) {
        let name = directory.rsplit('/').next().unwrap();
        self.link(
            &format!("sys/devices/{of}/slaves/{name}"),
            &format!("sys/devices/{directory}"),
        );
    }

    /// An NVMe disk with two partitions.
    fn nvme(&self) {
        let controller = "pci0000:00/0000:00:04.0/nvme/nvme0";
        self.block(&format!("{controller}/nvme0n1"), "259:0", &[]);
        for number in ["1", "2"] {
            let place = format!("{controller}/nvme0n1/nvme0n1p{number}");
            self.block(&place, &format!("259:{number}"), &[("partition", number)]);
        }
        self.link(
            &format!("sys/devices/{controller}/nvme0n1/device"),
            &format!("sys/devices/{controller}"),
        );
        let function = "sys/devices/pci0000:00/0000:00:04.0";
        self.write(&format!("{function}/modalias"), "pci:v00001B36d00000010\n");
        self.link(&format!("{function}/driver"), "sys/bus/pci/drivers/nvme");
        fs::create_dir_all(self.path("sys/module/nvme")).unwrap();
        self.link("sys/bus/pci/drivers/nvme/module", "sys/module/nvme");
    }

    fn of_root(&self) -> Result<Stack, StackError> {
        Stack::of_mount(self.0.path(), "/").map(|(_, stack)| stack)
    }
}

const PART2: &str = "pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p2";
const LUKS: &str = "CRYPT-LUKS2-0b5bbd4a6d7a4c3b9a1e1234567890ab-nvme0n1p2_crypt";

fn mountinfo(number: &str, kind: &str, source: &str) -> String {
    format!("22 1 {number} / / rw,relatime shared:1 - {kind} {source} rw\n")
}

/// What Debian's installer makes.
fn debian() -> Machine {
    let machine = Machine::new(&mountinfo("254:1", "ext4", "/dev/mapper/debian--vg-root"));
    machine.nvme();
    machine.block(
        "virtual/block/dm-0",
        "254:0",
        &[("dm/name", "nvme0n1p2_crypt"), ("dm/uuid", LUKS)],
    );
    machine.block(
        "virtual/block/dm-1",
        "254:1",
        &[("dm/name", "debian--vg-root"), ("dm/uuid", "LVM-ab")],
    );
    machine.slave("virtual/block/dm-0", PART2);
    machine.slave("virtual/block/dm-1", "virtual/block/dm-0");
    machine
}

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

/// The way down from the first device, by names.
fn way(stack: &Stack) -> Vec<&str> {
    let mut names = Vec::new();
    let mut next = Some(stack.top[0]);
    while let Some(device) = next.map(|number| &stack.devices[&number]) {
        names.push(device.name.as_str());
        next = device.below.first().copied();
    }
    names
}

#[test]
fn lvm_on_luks_is_followed_down_to_the_disk_and_its_driver() {
    let machine = debian();
    let stack = machine.of_root().unwrap();
    assert_eq!(way(&stack), ["dm-1", "dm-0", "nvme0n1p2", "nvme0n1"]);
    let kind = |text| &stack.devices[&number(text)].kind;
    assert!(matches!(kind("254:1"), Kind::Lvm { name, .. } if name == "debian--vg-root"));
    let Kind::Crypt { name, format, uuid } = kind("254:0") else {
        panic!("{:?}", kind("254:0"));
    };
    assert_eq!(
        (name.as_str(), format.as_str()),
        ("nvme0n1p2_crypt", "LUKS2")
    );
    assert_eq!(
        uuid.as_deref(),
        Some("0b5bbd4a-6d7a-4c3b-9a1e-1234567890ab")
    );
    assert_eq!(kind("259:2"), &Kind::Partition { number: 2 });
    let disk = &stack.devices[&number("259:0")];
    assert_eq!((&disk.kind, disk.sectors), (&Kind::Disk, 2048));
    let [driver] = &disk.drivers[..] else {
        panic!("{:?}", disk.drivers);
    };
    assert_eq!(driver.modalias.as_deref(), Some("pci:v00001B36d00000010"));
    assert_eq!(
        (driver.driver.as_deref(), driver.module.as_deref()),
        (Some("nvme"), Some("nvme"))
    );
}

#[test]
fn btrfs_stands_on_all_its_devices() {
    let machine = Machine::new(&mountinfo("0:31", "btrfs", "/dev/mapper/luks-1"));
    machine.nvme();
    machine.block(
        "virtual/block/dm-0",
        "254:0",
        &[("dm/name", "luks-1"), ("dm/uuid", LUKS)],
    );
    machine.slave("virtual/block/dm-0", PART2);
    machine.write("sys/fs/btrfs/features/no_holes", "1\n");
    machine.link(
        "sys/fs/btrfs/id/devices/dm-0",
        "sys/devices/virtual/block/dm-0",
    );
    machine.link(
        "sys/fs/btrfs/id/devices/nvme0n1p1",
        "sys/class/block/nvme0n1p1",
    );
    let stack = machine.of_root().unwrap();
    assert_eq!(stack.top, [number("254:0"), number("259:1")]);
    assert_eq!(stack.devices.len(), 4);
}

#[test]
fn arrays_say_what_they_are() {
    let machine = Machine::new(&mountinfo("9:0", "xfs", "/dev/md0"));
    machine.nvme();
    machine.block(
        "virtual/block/md0",
        "9:0",
        &[
            ("md/level", "raid1"),
            ("md/metadata_version", "1.2"),
            ("md/raid_disks", "2 (3)"),
        ],
    );
    machine.slave("virtual/block/md0", PART2);
    let stack = machine.of_root().unwrap();
    let kind = &stack.devices[&number("9:0")].kind;
    assert!(
        matches!(kind, Kind::Md { level, metadata, uuid: None, members: 2 } if level == "raid1" && metadata == "1.2")
    );
    assert_eq!(way(&stack), ["md0", "nvme0n1p2", "nvme0n1"]);
    let alone = Stack::of_device(machine.0.path(), number("259:1")).unwrap();
    assert_eq!(way(&alone), ["nvme0n1p1", "nvme0n1"]);
}

#[test]
fn a_circle_is_refused() {
    let machine = debian();
    machine.slave("virtual/block/dm-0", "virtual/block/dm-1");
    let error = machine.of_root().unwrap_err();
    assert!(
        matches!(&error, StackError::Circle(name) if name == "dm-1"),
        "{error}"
    );
}

#[test]
fn a_tower_and_a_crowd_are_refused() {
    let machine = Machine::new(&mountinfo("254:0", "ext4", "x"));
    for level in 0..20 {
        let directory = format!("virtual/block/dm-{level}");
        machine.block(&directory, &format!("254:{level}"), &[("dm/name", "a")]);
        if level > 0 {
            machine.slave(&format!("virtual/block/dm-{}", level - 1), &directory);
        }
    }
    assert!(matches!(machine.of_root(), Err(StackError::Deep)));
    let machine = Machine::new(&mountinfo("254:0", "ext4", "x"));
    machine.block("virtual/block/dm-0", "254:0", &[("dm/name", "a")]);
    for other in 1..300 {
        let directory = format!("virtual/block/dm-{other}");
        machine.block(&directory, &format!("254:{other}"), &[]);
        machine.slave("virtual/block/dm-0", &directory);
    }
    assert!(matches!(machine.of_root(), Err(StackError::Many)));
}

#[test]
fn a_device_that_two_are_on_is_there_once() {
    let machine = debian();
    machine.block("virtual/block/dm-2", "254:2", &[("dm/name", "two")]);
    machine.slave("virtual/block/dm-2", "virtual/block/dm-0");
    machine.slave("virtual/block/dm-1", "virtual/block/dm-2");
    assert_eq!(machine.of_root().unwrap().devices.len(), 5);
}

#[test]
fn what_is_on_no_block_device_is_said() {
    for (kind, source) in [
        ("zfs", "rpool/root"),
        ("overlay", "overlay"),
        ("btrfs", "/dev/mapper/none"),
        ("btrfs", "/dev/nvme0n1p1"),
        ("bcachefs", "/dev/disk/by-id/x"),
        ("bcachefs", "/dev/sdz"),
    ] {
        let machine = Machine::new(&mountinfo("0:31", kind, source));
        machine.nvme();
        machine.write("sys/fs/btrfs/features/no_holes", "1\n");
        let error = machine.of_root().unwrap_err().to_string();
        assert!(error.contains(source) && error.contains(kind), "{error}");
    }
    let machine = debian();
    let error = Stack::of_mount(machine.0.path(), "/usr").unwrap_err();
    assert!(matches!(error, StackError::NotMounted(place) if place == "/usr"));
}

#[test]
fn files_that_are_not_the_kernels_are_refused() {
    let says = |path: &str, text: &str| {
        let machine = debian();
        machine.write(path, text);
        let error = machine.of_root().unwrap_err();
        assert!(matches!(&error, StackError::Says { .. }), "{error}");
    };
    says("sys/devices/virtual/block/dm-0/size", "-1\n");
    says("sys/devices/virtual/block/dm-0/dev", "254\n");
    says(&format!("sys/devices/{PART2}/partition"), "two\n");
    let machine = debian();
    machine.write("proc/self/mountinfo", "22 1 254:1 /\n");
    assert!(matches!(machine.of_root(), Err(StackError::MountInfo(_))));
    // A link to a device somewhere else.
    let machine = debian();
    machine.write("elsewhere/dev", "1:1\n");
    machine.link("sys/devices/virtual/block/dm-0/slaves/sda", "elsewhere");
    assert!(matches!(machine.of_root(), Err(StackError::Outside(_))));
    let machine = Machine::new(&mountinfo("8:1", "ext4", "/dev/sda1"));
    assert!(matches!(machine.of_root(), Err(StackError::Read { .. })));
}
