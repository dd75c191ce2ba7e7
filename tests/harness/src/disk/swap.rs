//! The swap disk: one partition full of zeros, so that any byte in it came from the guest.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use super::partition::{PARTITION_START, PartitionType, write_table};

/// Disk id of every swap disk.
const DISK_ID: u32 = 0x7a0b_0075;
/// How the guest names the swap partition.
pub const SWAP_PARTUUID: &str = "7a0b0075-01";

/// Makes a swap disk whose partition has `size` bytes.
pub fn make_swap_disk(image: &Path, size: u64) -> Result<()> {
    let file = File::create(image).with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(PARTITION_START + size)
        .with_context(|| format!("cannot size {}", image.display()))?;
    write_table(image, PartitionType::Swap, size, DISK_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_named_as_the_kernel_will_name_it() {
        assert_eq!(SWAP_PARTUUID, format!("{DISK_ID:08x}-01"));
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("swap");
        make_swap_disk(&image, 1 << 20).unwrap();
        let bytes = std::fs::read(&image).unwrap();
        assert_eq!(bytes.len(), 2 << 20);
        assert_eq!(bytes[0x1fe..0x200], [0x55, 0xaa]);
        assert!(
            bytes[PARTITION_START as usize..]
                .iter()
                .all(|byte| *byte == 0)
        );
    }
}
