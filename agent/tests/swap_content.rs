//! Devices that must not become swap: what every mkfs of Debian makes, and what none of them knows.
// A test fails by panicking; clippy knows that of #[test] functions only, not of what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
};

use agent::boot::swap::content::{ContentError, MARKER_SIZE, check, mark};

/// Enough for the largest minimum, XFS's.
const SIZE: u64 = 320 << 20;

struct Disk(tempfile::NamedTempFile);

impl Disk {
    fn empty() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE).unwrap();
        Self(file)
    }

    fn of_mkfs(words: &str) -> Self {
        let disk = Self::empty();
        disk.made_by(words, "");
        disk
    }

    fn made_by(&self, words: &str, input: &str) {
        let mut words = words.split(' ');
        let program = words.next().unwrap();
        let given = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(given.path(), input).unwrap();
        let output = Command::new(program)
            .args(words)
            .arg(self.path())
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .stdin(Stdio::from(File::open(given.path()).unwrap()))
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask setup`"));
        assert!(output.status.success(), "{program}: {output:?}");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, bytes: &[u8], offset: u64) -> &Self {
        let file = OpenOptions::new().write(true).open(self.path()).unwrap();
        file.write_all_at(bytes, offset).unwrap();
        self
    }

    /// What `check` says, which writes nothing.
    fn check(&self) -> Result<(), ContentError> {
        let at = |offset| {
            let mut bytes = vec![0; 1 << 20];
            self.0.as_file().read_exact_at(&mut bytes, offset).unwrap();
            bytes
        };
        let before = (at(0), at(SIZE - (1 << 20)));
        let result = check(self.path());
        assert!(before == (at(0), at(SIZE - (1 << 20))), "written to");
        result
    }
}

const MAKERS: &[(&str, &str)] = &[
    ("mkfs.vfat -F 32", "vfat"),
    ("mkfs.vfat -F 16", "vfat"),
    ("mkfs.exfat", "exfat"),
    ("mkfs.ntfs -F -Q", "ntfs"),
    ("mkfs.ext2 -q -F", "ext2"),
    ("mkfs.ext3 -q -F", "ext3"),
    ("mkfs.ext4 -q -F", "ext4"),
    ("mke2fs -q -F -O journal_dev", "jbd"),
    ("mkfs.xfs -q -f", "xfs"),
    ("mkfs.btrfs -q -f", "btrfs"),
    ("mkfs.f2fs -q -f", "f2fs"),
    ("mkfs.jfs -q", "jfs"),
    ("mkfs.reiserfs -q -ff", "reiserfs"),
    ("mkfs.minix", "minix"),
    ("mkfs.nilfs2 -q -f", "nilfs2"),
    ("mkfs.bfs", "bfs"),
    ("make-bcache -B", "bcache"),
    ("make-bcache -C", "bcache"),
];

#[test]
fn what_any_mkfs_makes_is_never_overwritten() {
    for (maker, kind) in MAKERS {
        let disk = Disk::of_mkfs(maker);
        match disk.check() {
            Err(ContentError::Occupied(found)) => {
                assert!(found.contains(kind), "{maker}: {found}");
            }
            other => panic!("{maker}: {other:?}"),
        }
    }
}

/// Several file systems leave the first sectors as they found them: our marker may be there still.
#[test]
fn a_file_system_behind_our_marker_is_not_overwritten() {
    for maker in ["mkfs.jfs -q", "mkfs.btrfs -q -f", "mkfs.reiserfs -q -ff"] {
        let disk = Disk::of_mkfs(maker);
        mark(disk.path()).unwrap();
        let result = disk.check();
        assert!(
            matches!(result, Err(ContentError::Occupied(_))),
            "{maker}: {result:?}"
        );
    }
}

const FDISK_4096: &str = "fdisk -b 4096 --wipe always --wipe-partitions always";

#[test]
fn partition_tables_are_never_overwritten() {
    for label in ["dos", "gpt", "sun", "sgi"] {
        let disk = Disk::empty();
        disk.made_by(
            "sfdisk -q",
            &format!("label: {label}\nstart=2048, size=40960\n"),
        );
        assert!(disk.check().is_err(), "{label}");
    }
    for (command, label) in [("o\nn\np", "dos"), ("g\nn", "gpt")] {
        let disk = Disk::empty();
        disk.made_by(FDISK_4096, &format!("{command}\n\n\n\nw\n"));
        assert!(disk.check().is_err(), "{label} with sectors of 4096 bytes");
    }
    // The protective MBR gone, only the table itself is left, in sectors of either size.
    for (words, input) in [
        ("sfdisk -q", "label: gpt\nstart=2048, size=1024\n"),
        (FDISK_4096, "g\nn\n\n\n\nw\n"),
    ] {
        let disk = Disk::empty();
        disk.made_by(words, input);
        disk.write(&[0; 512], 0);
        match disk.check() {
            Err(ContentError::Occupied(found)) => assert!(found.contains("gpt"), "{found}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[test]
fn luks_lvm_and_raid_members_are_never_overwritten() {
    for kind in ["luks1", "luks2"] {
        let disk = Disk::empty();
        let words = format!(
            "cryptsetup -q luksFormat --type {kind} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file=-"
        );
        disk.made_by(&words, "secret");
        assert!(
            matches!(disk.check(), Err(ContentError::Occupied(_))),
            "{kind}"
        );
    }
    let disk = Disk::empty();
    disk.write(b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001", 512);
    disk.write(b"0123456789abcdefghijklmnopqrstuv", 544);
    assert!(disk.check().is_err(), "LVM");
    // md superblocks 1.1, 1.2 and 1.0: at the start, after 4 KiB, and 8 KiB before the end.
    for offset in [0, 4096, SIZE - 8192] {
        let disk = Disk::empty();
        disk.write(&md_superblock(offset), offset);
        match disk.check() {
            Err(ContentError::Occupied(found)) => {
                assert!(found.contains("linux_raid_member"), "{offset}: {found}");
            }
            other => panic!("md at {offset}: {other:?}"),
        }
    }
    // A swap signature does not hide the RAID member that it lies in.
    let disk = Disk::of_mkfs("mkswap");
    disk.write(&md_superblock(SIZE - 8192), SIZE - 8192);
    assert!(matches!(disk.check(), Err(ContentError::Occupied(_))));
}

/// struct mdp_superblock_1 (linux/raid/md_p.h) with its checksum.
fn md_superblock(offset: u64) -> Vec<u8> {
    let mut block = vec![0_u8; 256];
    block[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
    block[4..8].copy_from_slice(&1_u32.to_le_bytes());
    block[16..32].fill(7);
    block[144..152].copy_from_slice(&(offset / 512).to_le_bytes());
    let words = block.chunks_exact(4);
    let sum: u64 = words
        .map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())))
        .sum();
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    block[216..220].copy_from_slice(&(sum as u32).to_le_bytes());
    block
}

#[test]
fn data_of_an_unknown_kind_is_not_overwritten() {
    let mut random = vec![0; 2 << 20];
    getrandom::fill(&mut random).unwrap();
    let disk = Disk::empty();
    disk.write(&random, 0);
    assert!(matches!(disk.check(), Err(ContentError::Unknown)));
    // A single byte within the first MiB.
    let disk = Disk::empty();
    disk.write(&[1], (1 << 20) - 1);
    assert!(matches!(disk.check(), Err(ContentError::Unknown)));
    // Nearly our marker.
    let disk = Disk::empty();
    mark(disk.path()).unwrap();
    disk.write(b"2", 13);
    assert!(matches!(disk.check(), Err(ContentError::Unknown)));
    // A suspended machine's memory lies in its swap.
    let disk = Disk::of_mkfs("mkswap");
    disk.write(b"S1SUSPEND\0", 4086);
    assert!(matches!(disk.check(), Err(ContentError::Occupied(_))));
    let nowhere = Path::new("/nonexistent");
    assert!(matches!(check(nowhere), Err(ContentError::Unreadable(_))));
}

#[test]
fn what_is_empty_or_swap_or_ours_may_be_overwritten() {
    Disk::empty().check().unwrap();
    Disk::of_mkfs("mkswap").check().unwrap();
    // Our marker, and behind it what a key of an earlier boot has left.
    let disk = Disk::empty();
    mark(disk.path()).unwrap();
    let mut random = vec![0; 4 << 20];
    getrandom::fill(&mut random).unwrap();
    disk.write(&random, MARKER_SIZE);
    disk.write(&random, SIZE - random.len() as u64);
    disk.check().unwrap();
    // The marker takes the place of an unencrypted swap's signature.
    let disk = Disk::of_mkfs("mkswap");
    mark(disk.path()).unwrap();
    disk.check().unwrap();
    let mut signature = [0; 10];
    disk.0
        .as_file()
        .read_exact_at(&mut signature, 4086)
        .unwrap();
    assert_eq!(signature, [0; 10]);
}
