//! Firmware files that the image's modules name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::file::read_unpacked;
use super::name::alias_matches;

/// Most entries of one directory that a pattern is compared with.
const MAX_LISTED: usize = 100_000;

/// Largest firmware file, unpacked.
const MAX_FIRMWARE: u64 = 256 << 20;

/// The firmware that was found and that which was not.
#[derive(Debug, Default)]
pub struct Firmware {
    /// Content by path below /lib/firmware.
    pub found: BTreeMap<String, Vec<u8>>,
    /// Named by a module, not in the directory.
    pub missing: BTreeSet<String>,
}

/// Looks for `names` where the kernel does: below updates/VERSION, updates, VERSION and the directory
/// itself (Documentation/driver-api/firmware/fw_search_path.rst), as they are or packed as .xz or
/// .zst. A name with wildcards stands for every file that it matches.
///
/// # Errors
/// A file that is there cannot be read or unpacked.
pub fn collect(directory: &Path, kernel: &str, names: &BTreeSet<String>) -> Result<Firmware> {
    let updates = directory.join("updates");
    let places = [
        updates.join(kernel),
        updates,
        directory.join(kernel),
        directory.to_owned(),
    ];
    let mut firmware = Firmware::default();
    for name in names {
        // The name comes out of a module file; keep it below the directory.
        let clean = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let wild = name.contains(['*', '?', '[']);
        let files = match clean {
            false => Vec::new(),
            true if wild => places
                .iter()
                .flat_map(|place| matching(place, name))
                .collect(),
            true => vec![name.clone()],
        };
        let mut met = false;
        for file in files {
            if firmware.found.contains_key(&file) {
                met = true;
                continue;
            }
            let path = places.iter().find_map(|place| {
                [String::new(), ".zst".into(), ".xz".into()]
                    .map(|suffix| place.join(format!("{file}{suffix}")))
                    .into_iter()
                    .find(|path| path.is_file())
            });
            if let Some(path) = path {
                let data = read_unpacked(&path, MAX_FIRMWARE)?;
                firmware.found.insert(file, data);
                met = true;
            }
        }
        if !met {
            firmware.missing.insert(name.clone());
        }
    }
    Ok(firmware)
}

/// The files below `place` that a pattern names, without the suffix of a packed one, sorted.
fn matching(place: &Path, pattern: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([String::new()]);
    for part in pattern.split('/') {
        let mut next = BTreeSet::new();
        for below in found {
            // A directory that is not there has nothing that matches.
            let entries = std::fs::read_dir(place.join(&below)).into_iter().flatten();
            for entry in entries.flatten().take(MAX_LISTED) {
                let Ok(file) = entry.file_name().into_string() else {
                    continue;
                };
                let bare = [".zst", ".xz"]
                    .into_iter()
                    .find_map(|suffix| file.strip_suffix(suffix))
                    .unwrap_or(&file);
                for name in [bare, &file] {
                    if alias_matches(part, name) {
                        next.insert(if below.is_empty() {
                            name.to_owned()
                        } else {
                            format!("{below}/{name}")
                        });
                        break;
                    }
                }
            }
        }
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_found_plain_and_packed_and_never_outside_the_directory() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("firmware");
        fs::create_dir_all(directory.join("a")).unwrap();
        fs::write(directory.join("a/plain.bin"), "plain").unwrap();
        fs::write(
            directory.join("packed.bin.zst"),
            zstd::encode_all(&b"packed"[..], 3).unwrap(),
        )
        .unwrap();
        fs::write(top.path().join("outside"), "x").unwrap();
        let names = ["a/plain.bin", "packed.bin", "none.bin", "../outside", ""];
        let firmware = collect(
            &directory,
            "6.1",
            &names.iter().map(|name| (*name).to_owned()).collect(),
        )
        .unwrap();
        assert_eq!(firmware.found["a/plain.bin"], b"plain");
        assert_eq!(firmware.found["packed.bin"], b"packed");
        assert_eq!(firmware.missing.len(), 3);
    }

    #[test]
    fn updates_come_first_and_patterns_name_every_match() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path();
        for (path, text) in [
            ("updates/6.1/a.bin", "newest"),
            ("updates/a.bin", "new"),
            ("a.bin", "old"),
            ("6.1/b.bin", "of this kernel"),
            ("gpu/one_x.bin", "1"),
            ("gpu/two_x.bin", "2"),
            ("gpu/two_y.bin", "no"),
        ] {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let packed = zstd::encode_all(&b"3"[..], 3).unwrap();
        fs::write(directory.join("gpu/three_x.bin.zst"), packed).unwrap();
        let names = ["a.bin", "b.bin", "gpu/*_x.bin", "none/*.bin"];
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let firmware = collect(directory, "6.1", &names).unwrap();
        let found: Vec<(&str, &[u8])> = firmware
            .found
            .iter()
            .map(|(name, data)| (name.as_str(), data.as_slice()))
            .collect();
        let expected: [(&str, &[u8]); 5] = [
            ("a.bin", b"newest"),
            ("b.bin", b"of this kernel"),
            ("gpu/one_x.bin", b"1"),
            ("gpu/three_x.bin", b"3"),
            ("gpu/two_x.bin", b"2"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            firmware.missing.into_iter().collect::<Vec<_>>(),
            ["none/*.bin"]
        );
    }
}
