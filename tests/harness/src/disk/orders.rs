//! The disk that carries the orders for the probe.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Disk;
use guest::orders::{COUNTER_OFFSET, DISK_SIZE, Order, Orders, SERIAL};

/// Writes the orders for the first boot, the second, ... to `image`. Later boots get the
/// last ones.
pub fn orders_disk(image: &Path, boots: &[Orders]) -> Result<Disk> {
    let mut bytes = serde_json::to_vec(boots).context("cannot write the orders as JSON")?;
    ensure!(
        (bytes.len() as u64) < COUNTER_OFFSET,
        "orders of {} bytes do not fit on their disk",
        bytes.len()
    );
    bytes.resize(usize::try_from(DISK_SIZE)?, 0);
    std::fs::write(image, bytes).with_context(|| format!("cannot write {}", image.display()))?;
    Ok(Disk::new(image, SERIAL))
}

/// An order for a shell command, with half a minute to run.
pub fn shell(name: &str, script: &str) -> Order {
    Order {
        name: name.to_owned(),
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        seconds: 30,
    }
}
