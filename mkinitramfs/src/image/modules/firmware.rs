//! Firmware files that the image's modules name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::file::read_unpacked;

/// Largest firmware file, unpacked.
const MAX_FIRMWARE: u64 = 256 << 20;

/// The firmware that was found and that which was not.
#[derive(Debug, Default)]
pub struct Firmware {
    /// Content by path below /lib/firmware.
    pub found: BTreeMap<String, Vec<u8>>,
    /// Named by a module, not in the folder.
    pub missing: BTreeSet<String>,
}

/// Looks for `names` in `folder`, as they are or packed as .xz or .zst.
///
/// # Errors
/// A file that is there cannot be read or unpacked.
pub fn collect(folder: &Path, names: &BTreeSet<String>) -> Result<Firmware> {
    let mut firmware = Firmware::default();
    for name in names {
        // The name comes out of a module file; keep it below the folder. Names
        // with wildcards, which a few modules carry, stand for no single file.
        let clean = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let path = ["", ".zst", ".xz"]
            .into_iter()
            .map(|suffix| folder.join(format!("{name}{suffix}")))
            .find(|path| clean && path.is_file());
        match path {
            Some(path) => {
                firmware
                    .found
                    .insert(name.clone(), read_unpacked(&path, MAX_FIRMWARE)?);
            }
            None => {
                firmware.missing.insert(name.clone());
            }
        }
    }
    Ok(firmware)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_found_plain_and_packed_and_never_outside_the_folder() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("firmware");
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::write(folder.join("a/plain.bin"), "plain").unwrap();
        fs::write(
            folder.join("packed.bin.zst"),
            zstd::encode_all(&b"packed"[..], 3).unwrap(),
        )
        .unwrap();
        fs::write(top.path().join("outside"), "x").unwrap();
        let names = ["a/plain.bin", "packed.bin", "none.bin", "../outside", ""];
        let firmware = collect(
            &folder,
            &names.iter().map(|name| (*name).to_owned()).collect(),
        )
        .unwrap();
        assert_eq!(firmware.found["a/plain.bin"], b"plain");
        assert_eq!(firmware.found["packed.bin"], b"packed");
        assert_eq!(firmware.missing.len(), 3);
    }
}
