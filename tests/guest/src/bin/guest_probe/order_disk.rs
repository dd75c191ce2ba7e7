//! Finds the orders disk by its serial number and takes this boot's orders from it.

use std::fs::{self, OpenOptions};
use std::io::{Error, Result};
use std::os::unix::fs::FileExt;

use guest::orders::{COUNTER_OFFSET, DISK_SIZE, Orders, SERIAL};

/// The number of this boot, from 1, and its orders.
pub fn read() -> Result<(u8, Orders)> {
    let path = find()?;
    let disk = OpenOptions::new().read(true).write(true).open(path)?;
    let mut bytes = vec![0; DISK_SIZE as usize];
    disk.read_exact_at(&mut bytes, 0)?;
    let json = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let boots: Vec<Orders> = serde_json::from_slice(json)?;
    let before = bytes
        .get(COUNTER_OFFSET as usize)
        .copied()
        .unwrap_or_default();
    let now = before.saturating_add(1);
    disk.write_all_at(&[now], COUNTER_OFFSET)?;
    disk.sync_all()?;
    let orders = boots.get(usize::from(before)).or(boots.last()).cloned();
    Ok((now, orders.unwrap_or_default()))
}

fn find() -> Result<String> {
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        let serial = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
        if serial.trim() == SERIAL {
            return Ok(format!("/dev/{}", entry.file_name().to_string_lossy()));
        }
    }
    Err(Error::other("the machine has no orders disk"))
}
