//! The MBR partition table, written without a tool: one primary partition.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Bytes in a sector, and where the only partition begins: the usual 1 MiB.
pub const SECTOR: u64 = 512;
/// First byte of the partition.
pub const PARTITION_START: u64 = 1 << 20;

/// Partition types (as fdisk prints them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// 83: Linux.
    Linux,
    /// 82: Linux swap.
    Swap,
    /// ef: EFI system partition.
    EfiSystem,
}

impl PartitionType {
    fn code(self) -> u8 {
        match self {
            Self::Linux => 0x83,
            Self::Swap => 0x82,
            Self::EfiSystem => 0xef,
        }
    }
}

/// Writes the table to `image`, which must exist: a partition from 1 MiB over `size` bytes.
/// The kernel knows it as `PARTUUID=xxxxxxxx-01` where x is `disk_id` in hex.
pub fn write_table(image: &Path, kind: PartitionType, size: u64, disk_id: u32) -> Result<()> {
    let start = u32::try_from(PARTITION_START / SECTOR)?;
    let sectors = u32::try_from(size / SECTOR).context("the partition is too large for an MBR")?;
    ensure!(
        size.is_multiple_of(SECTOR),
        "a partition is whole sectors long"
    );
    // 0x1b8: disk id, 0x1be: first entry, 0x1fe: signature. Bootable; no CHS addresses.
    let mut entry = vec![0x80, 0xfe, 0xff, 0xff, kind.code(), 0xfe, 0xff, 0xff];
    entry.extend(start.to_le_bytes());
    entry.extend(sectors.to_le_bytes());
    entry.resize(64, 0);
    entry.extend([0x55, 0xaa]);
    let file = OpenOptions::new()
        .write(true)
        .open(image)
        .with_context(|| format!("cannot open {}", image.display()))?;
    file.write_all_at(&disk_id.to_le_bytes(), 0x1b8)
        .and_then(|()| file.write_all_at(&entry, 0x1be))
        .with_context(|| format!("cannot write the partition table of {}", image.display()))
}
