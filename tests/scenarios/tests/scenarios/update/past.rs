//! What a power cut would have left, for every write of a boot.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use agent::unlock::{CheckedHeader, find_records};
use guest::orders::{End, Order, Orders};
use harness::disk::boot::Firmware;
use harness::disk::orders::orders_disk;
use harness::installed::{BootPartition, Content, Installed, MenuEntry, menu_of};
use harness::launch::Launch;
use harness::measured::launch_of;
use harness::world::policy;
use harness::write_log::{LoggedDisks, Write};

use crate::update::Boot;

const BOOT: usize = 0;
const ROOT: usize = 1;
/// Header and keyslots of the volume.
const LUKS_AREA: u64 = 16 << 20;

/// The disks before a boot, and every write of it.
pub struct Recorded {
    writes: Vec<Write>,
    boot: PathBuf,
    root: PathBuf,
}

impl Recorded {
    /// Boots the machine on disks whose writes are kept.
    pub fn run(machine: &Installed, entry: &MenuEntry, commands: Vec<Order>) -> (Boot, Self) {
        let directory = &machine.world.directory;
        let (boot, root) = (
            directory.join("begin-boot.img"),
            directory.join("begin-root.img"),
        );
        copy(machine.boot.image(), &boot);
        copy(&machine.world.root, &root);
        let images = [machine.boot.image(), machine.world.root.as_path()];
        let log = LoggedDisks::serve(directory, &images).unwrap();
        let orders = [Orders {
            commands,
            end: End::Poweroff,
        }];
        let disk = orders_disk(&directory.join("orders.img"), &orders).unwrap();
        let logged = machine.machine_logged(entry, &log).unwrap();
        let mut outcome = logged.disk(disk).run().unwrap();
        // The machine's directory lives on for the next boot.
        outcome.directory = PathBuf::new();
        let writes = log.writes();
        (Boot { outcome }, Self { writes, boot, root })
    }

    /// Looks at the disks after each write to the boot partition and to the LUKS header: the
    /// menu's default entry loads files whose launch a record is for. Gives the number of
    /// writes before the default entry changes, which it does once.
    pub fn assert_unlocks_after_every_write(&self, machine: &Installed) -> usize {
        let directory = &machine.world.directory;
        let (boot, root) = (
            directory.join("past-boot.img"),
            directory.join("past-root.img"),
        );
        copy(&self.boot, &boot);
        copy(&self.root, &root);
        let past = Past::open(&boot, &root);
        let partition = machine.boot.at(&boot);
        let mut launches = Launches::default();
        let (mut looked_at, mut to_header) = (0, 0);
        let mut defaults: Vec<(String, usize)> = Vec::new();
        for (number, write) in self.writes.iter().enumerate() {
            past.apply(write);
            if !matters(write) {
                continue;
            }
            looked_at += 1;
            to_header += usize::from(write.disk == ROOT);
            let when = format!(
                "after write {number} of {} (disk {}, {} bytes at {})",
                self.writes.len(),
                write.disk,
                write.data.len(),
                write.offset
            );
            let entry = assert_unlocks(&partition, &root, &mut launches, &when);
            if defaults.last().is_none_or(|(last, _)| *last != entry) {
                defaults.push((entry, number));
            }
        }
        println!(
            "{looked_at} of {} writes looked at, {to_header} of them to the LUKS header; default entries {defaults:?}",
            self.writes.len()
        );
        assert!(
            looked_at >= 40 && to_header >= 4,
            "the log shows too little: {looked_at}, {to_header}"
        );
        assert_eq!(
            defaults.len(),
            2,
            "the old menu, then the new one: {defaults:?}"
        );
        defaults[1].1
    }

    /// The machine's disks with the first writes only.
    pub fn rewind(&self, machine: &Installed, writes: usize) {
        copy(&self.boot, machine.boot.image());
        copy(&self.root, &machine.world.root);
        let past = Past::open(machine.boot.image(), &machine.world.root);
        for write in &self.writes[..writes] {
            past.apply(write);
        }
    }
}

/// Disks to which the log is applied write by write.
struct Past {
    boot: File,
    root: File,
}

impl Past {
    fn open(boot: &Path, root: &Path) -> Self {
        let open = |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        Self {
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

/// Does a power cut after this write show on what boots?
fn matters(write: &Write) -> bool {
    match write.disk {
        BOOT => true,
        ROOT => write.offset < LUKS_AREA,
        other => panic!("disk {other}"),
    }
}

/// Launches by what they load: most states load the same files.
#[derive(Default)]
struct Launches(BTreeMap<String, Launch>);

impl Launches {
    fn of(&mut self, boot: &Content, entry: &MenuEntry) -> Launch {
        use sha2::Digest as _;
        let files = boot.files_of(entry).unwrap();
        let mut key = format!("{entry:?}");
        for file in files.tboot.iter().chain([&files.kernel, &files.initramfs]) {
            let digest = sha2::Sha256::digest(fs::read(file).unwrap());
            key.push_str(&hex::encode(digest));
        }
        let compute = || launch_of(&files, Firmware::Bios, Some(policy().unwrap())).unwrap();
        self.0.entry(key).or_insert_with(compute).clone()
    }
}

/// A record of the volume is for the launch of the menu's default entry; gives its id.
fn assert_unlocks(
    boot: &BootPartition,
    root: &Path,
    launches: &mut Launches,
    when: &str,
) -> String {
    let content = boot
        .content()
        .unwrap_or_else(|error| panic!("{when}: {error:#}"));
    let menu = menu_of(&content.read_text("grub/grub.cfg").unwrap()).unwrap();
    let entry = menu
        .first()
        .unwrap_or_else(|| panic!("{when}: the menu is empty"));
    let launch = launches.of(&content, entry);
    let header = CheckedHeader::read(root).unwrap();
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

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}
