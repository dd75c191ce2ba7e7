//! Looks at the beginning of raw swap partitions: nothing readable may be in them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

/// How much of a partition is looked at, in bytes.
const SAMPLE: usize = 1 << 20;
/// Serial number of the disks that are for swap.
const SERIAL: &str = "swap";

/// What the first MiB of each partition of the swap disk holds.
pub fn partitions() -> Value {
    let mut found = serde_json::Map::new();
    for disk in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let serial = fs::read_to_string(disk.path().join("serial")).unwrap_or_default();
        if serial.trim() != SERIAL {
            continue;
        }
        for part in fs::read_dir(disk.path()).into_iter().flatten().flatten() {
            if part.path().join("partition").exists() {
                let name = part.file_name().to_string_lossy().into_owned();
                found.insert(name.clone(), sample(&name));
            }
        }
    }
    Value::Object(found)
}

fn sample(name: &str) -> Value {
    let mut bytes = vec![0; SAMPLE];
    let read = File::open(format!("/dev/{name}")).and_then(|file| file.read_at(&mut bytes, 0));
    match read {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(count) => {
            bytes.truncate(count);
            json!({
                "bytes": count,
                "zeros": bytes.iter().filter(|byte| **byte == 0).count(),
                "entropy_bits_per_byte": entropy(bytes.get(..4096).unwrap_or(&bytes)),
                // mkswap's signature ends the first page of a swap area in the clear.
                "plain_swap_signature": bytes.get(4086..4096) == Some(b"SWAPSPACE2"),
            })
        }
    }
}

/// Shannon entropy of the byte values.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}
