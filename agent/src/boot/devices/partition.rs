//! PARTUUIDs: the kernel 6.1 does not report them, so the partition table is read here.

use std::{fs, fs::File, os::unix::fs::FileExt, path::Path};

use crate::boot::devices::superblock::uuid;

/// The PARTUUID of a block device by its kernel name (`vda1`); `None` when it is not a partition
/// or its table is of another kind.
pub fn partuuid(name: &str) -> Option<String> {
    let sys = fs::canonicalize(Path::new("/sys/class/block").join(name)).ok()?;
    let number: u32 = fs::read_to_string(sys.join("partition"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let disk = sys.parent()?;
    let block_size: u64 = fs::read_to_string(disk.join("queue/logical_block_size"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let node = Path::new("/dev").join(disk.file_name()?);
    partuuid_on(&File::open(node).ok()?, number, block_size)
}

/// The PARTUUID of partition `number` (from 1) of a disk or image.
pub fn partuuid_on(disk: &File, number: u32, block_size: u64) -> Option<String> {
    let mut mbr = [0_u8; 512];
    disk.read_exact_at(&mut mbr, 0).ok()?;
    gpt(disk, number, block_size).or_else(|| {
        let signature: [u8; 4] = mbr.get(440..444)?.try_into().ok()?;
        let signature = u32::from_le_bytes(signature);
        let is_mbr = mbr.get(510..512)? == [0x55, 0xaa];
        (is_mbr && signature != 0).then(|| format!("{signature:08x}-{number:02x}"))
    })
}

/// UEFI specification 2.10, 5.3: the header is in block 1.
fn gpt(disk: &File, number: u32, block_size: u64) -> Option<String> {
    if !(512..=65536).contains(&block_size) {
        return None;
    }
    let mut header = [0_u8; 92];
    disk.read_exact_at(&mut header, block_size).ok()?;
    let le64 = |at: usize| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let le32 = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    if header.get(..8)? != b"EFI PART" {
        return None;
    }
    let (first_block, entries, entry_size) = (le64(72)?, le32(80)?, le32(84)?);
    let index = number.checked_sub(1)?;
    if index >= entries || !(128..=4096).contains(&entry_size) {
        return None;
    }
    let offset = first_block
        .checked_mul(block_size)?
        .checked_add(u64::from(index).checked_mul(u64::from(entry_size))?)?;
    let mut entry = [0_u8; 32];
    disk.read_exact_at(&mut entry, offset).ok()?;
    let (kind, id) = entry.split_at(16);
    if kind.iter().all(|byte| *byte == 0) {
        return None; // an unused entry
    }
    // The first three fields of a GUID are little-endian on disk.
    const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes: Option<Vec<u8>> = TEXT_ORDER.iter().map(|at| id.get(*at).copied()).collect();
    Some(uuid(&bytes?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::*;

    fn table(script: &str) -> File {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(32 << 20).unwrap();
        let mut sfdisk = Command::new("/usr/sbin/sfdisk")
            .arg("-q")
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sfdisk
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(sfdisk.wait().unwrap().success());
        file.reopen().unwrap()
    }

    #[test]
    fn gpt_partitions_have_the_uuid_that_sfdisk_wrote() {
        let disk = table(
            "label: gpt\nsize=4MiB, uuid=00112233-4455-6677-8899-AABBCCDDEEFF\nsize=4MiB, uuid=0B5BBD4A-6D7A-4B4B-9D5D-0F5A2D4F7B11\n",
        );
        assert_eq!(
            partuuid_on(&disk, 1, 512).unwrap(),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(
            partuuid_on(&disk, 2, 512).unwrap(),
            "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11"
        );
    }

    #[test]
    fn mbr_partitions_are_named_after_the_disk() {
        let disk = table("label: dos\nlabel-id: 0xdeadbeef\nsize=4MiB\nsize=4MiB\n");
        assert_eq!(partuuid_on(&disk, 2, 512).unwrap(), "deadbeef-02");
    }

    #[test]
    fn a_disk_without_a_table_has_no_partuuid() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(partuuid_on(&file, 1, 512), None);
        file.set_len(1 << 20).unwrap();
        assert_eq!(partuuid_on(&file, 1, 512), None);
    }
}
