//! The power fails while a new kernel is installed: at every single write to the boot partition
//! and to the LUKS header, what lies on the disks boots and unlocks itself.

mod update;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use agent::unlock::{VolumeHeader, find_records};
use tests::disk::boot::Firmware;
use tests::disk::orders::orders_disk;
use tests::installed::{BootPartition, Installed, MenuEntry, NEW_KERNEL};
use tests::launch::Launch;
use tests::measured::launch_of;
use tests::orders::{End, Orders};
use tests::world::policy;
use tests::write_log::{LoggedDisks, Write};

use update::{Boot, run, shell, stdout, unlocked};

const BOOT: usize = 0;
const ROOT: usize = 1;
/// Header and keyslots of the volume.
const LUKS_AREA: u64 = 16 << 20;

/// Disks as they were, to which the log is applied write by write.
struct Past {
    boot: File,
    root: File,
}

impl Past {
    fn new(boot: &Path, root: &Path) -> Self {
        let open = |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        Past {
            boot: open(boot),
            root: open(root),
        }
    }

    fn apply(&self, write: &Write) {
        let file = if write.disk == BOOT {
            &self.boot
        } else {
            &self.root
        };
        file.write_all_at(&write.data, write.offset).unwrap();
    }
}

/// Does the power cut after this write show on what boots?
fn matters(write: &Write) -> bool {
    match write.disk {
        BOOT => true,
        ROOT => write.offset < LUKS_AREA,
        other => panic!("disk {other}"),
    }
}

/// Launches by the digests of what they load: most states load the same files.
#[derive(Default)]
struct Launches(BTreeMap<String, Launch>);

impl Launches {
    fn of(&mut self, boot: &BootPartition, entry: &MenuEntry) -> Launch {
        let scratch = tempfile::tempdir().unwrap();
        let files = boot.files_of(entry, scratch.path()).unwrap();
        let mut key = format!("{entry:?}");
        for file in files.tboot.iter().chain([&files.kernel, &files.initramfs]) {
            use sha2::Digest as _;
            let digest = sha2::Sha256::digest(fs::read(file).unwrap());
            key.push_str(&hex::encode(digest));
        }
        let compute = || launch_of(&files, Firmware::Bios, Some(policy().unwrap())).unwrap();
        self.0.entry(key).or_insert_with(compute).clone()
    }
}

/// The menu's default entry loads files whose launch has a record.
fn assert_unlocks(
    boot: &BootPartition,
    root: &Path,
    launches: &mut Launches,
    when: &str,
) -> String {
    let menu = boot.read_text("grub/grub.cfg").unwrap();
    let menu = tests::installed::menu_of(&menu).unwrap();
    let entry = menu
        .first()
        .unwrap_or_else(|| panic!("{when}: the menu is empty"));
    let launch = launches.of(boot, entry);
    let header = VolumeHeader::read(root).unwrap();
    let fits = find_records(&header).into_iter().any(|(_, record)| {
        let record = record.unwrap_or_else(|error| panic!("{when}: {error}"));
        (17..=19).all(|pcr| {
            let played = launch.sha256_hex(pcr).unwrap().to_ascii_lowercase();
            let index = tpm::PcrIndex::try_from(pcr).unwrap();
            let expected = record.expected().get(index).map(hex::encode);
            expected.as_deref() == Some(played.as_str())
        })
    });
    assert!(fits, "{when}: no record is for {}", entry.id);
    entry.id.clone()
}

#[test]
fn a_power_cut_at_any_write_of_the_hook_leaves_a_machine_that_unlocks() {
    let machine = Installed::make("power-cut", Firmware::Bios).unwrap();
    let directory = machine.world.directory.clone();
    let (past_boot, past_root) = (
        directory.join("past-boot.img"),
        directory.join("past-root.img"),
    );
    fs::copy(machine.boot.image(), &past_boot).unwrap();
    fs::copy(&machine.world.root, &past_root).unwrap();
    fs::copy(&past_boot, directory.join("begin-boot.img")).unwrap();
    fs::copy(&past_root, directory.join("begin-root.img")).unwrap();

    let log = LoggedDisks::serve(&directory, &[machine.boot.image(), &machine.world.root]).unwrap();
    let first = machine.menu().unwrap().remove(0);
    let install = shell(
        "install",
        &format!("dpkg --force-depends -i {NEW_KERNEL}"),
        300,
    );
    let orders = [Orders {
        commands: vec![install],
        end: End::Poweroff,
    }];
    let disk = orders_disk(&directory.join("orders.img"), &orders).unwrap();
    let logged = machine.machine_logged(&first, &log).unwrap();
    let mut outcome = logged.disk(disk).run().unwrap();
    outcome.directory = std::path::PathBuf::new();
    let boot = Boot { outcome };
    unlocked(&boot);
    stdout(&boot, "install");

    let past = Past::new(&past_boot, &past_root);
    let partition = machine.boot.at(&past_boot);
    let mut launches = Launches::default();
    let writes = log.writes();
    let (mut looked_at, mut header_writes) = (0, 0);
    let mut seen: Vec<(String, usize)> = Vec::new();
    for (number, write) in writes.iter().enumerate() {
        past.apply(write);
        if !matters(write) {
            continue;
        }
        looked_at += 1;
        header_writes += usize::from(write.disk == ROOT);
        let when = format!(
            "after write {number} of {} (disk {}, {} bytes at {})",
            writes.len(),
            write.disk,
            write.data.len(),
            write.offset
        );
        let entry = assert_unlocks(&partition, &past_root, &mut launches, &when);
        if seen.last().is_none_or(|(last, _)| *last != entry) {
            seen.push((entry, number));
        }
    }
    println!(
        "{looked_at} of {} writes looked at, {header_writes} of them to the LUKS header; default entries {seen:?}",
        writes.len()
    );
    assert!(
        looked_at >= 40 && header_writes >= 4,
        "the log shows too little"
    );
    assert_eq!(seen.len(), 2, "the old menu, then the new one: {seen:?}");
    let (new_entry, switch) = seen[1].clone();

    // Two of these moments in a real machine: right before the menu changes, and right after.
    for (state, cut) in [("before", switch), ("after", switch + 1)] {
        rewind(&machine, &directory, &writes[..cut]);
        let entry = machine.menu().unwrap().remove(0);
        assert_eq!(entry.id == new_entry, state == "after", "{state}");
        let boot = run(&machine, &entry, vec![], End::Poweroff);
        let report = boot.outcome.report_of("taoboot").unwrap();
        assert_eq!(report["unlocked_by"], "tpm", "{state}: {report:#}");
    }
}

/// The machine's disks with the first writes only.
fn rewind(machine: &Installed, directory: &Path, writes: &[Write]) {
    fs::copy(directory.join("begin-boot.img"), machine.boot.image()).unwrap();
    fs::copy(directory.join("begin-root.img"), &machine.world.root).unwrap();
    let past = Past::new(machine.boot.image(), &machine.world.root);
    for write in writes {
        past.apply(write);
    }
}
