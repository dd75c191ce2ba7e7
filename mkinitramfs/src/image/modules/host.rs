//! The devices of this machine, for `--host-only`: their modalias files in sysfs,
//! and which of them lie on the way to a disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::plan::Drivers;
use super::wanted::is_file_system;

/// Deepest directory looked at below /sys/devices; real ones end near 20.
const MAX_DEPTH: usize = 40;

/// Reads the devices below `sysfs`; `mounts` is the text of /proc/self/mounts, where
/// the root file system's type is found.
///
/// # Errors
/// `sysfs` has no devices directory.
pub fn read(sysfs: &Path, mounts: &str) -> Result<Drivers> {
    let devices = sysfs.join("devices");
    if !devices.is_dir() {
        bail!(
            "{} is not there: --host-only looks at this machine's devices, so mount sysfs or \
             use --generic",
            devices.display()
        );
    }
    let mut modaliases = BTreeSet::new();
    collect(&devices, 0, &mut modaliases);
    Ok(Drivers::Host {
        modaliases,
        storage: storage(sysfs)?,
        root: root_type(mounts),
    })
}

/// All modalias files below `directory`. Symbolic links are not followed: sysfs links
/// its directories in circles. What vanishes meanwhile was a device just unplugged.
fn collect(directory: &Path, depth: usize, found: &mut BTreeSet<String>) {
    found.extend(modalias(directory));
    if depth >= MAX_DEPTH {
        return;
    }
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth.saturating_add(1), found);
        }
    }
}

fn modalias(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("modalias")).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The modaliases of every device that a block device hangs on.
fn storage(sysfs: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(sysfs.join("class/block")) else {
        return Ok(found);
    };
    let top = fs::canonicalize(sysfs.join("devices"))
        .with_context(|| format!("cannot resolve {}", sysfs.display()))?;
    for entry in entries.flatten() {
        let Ok(device) = fs::canonicalize(entry.path()) else {
            continue;
        };
        let mut directory: PathBuf = device;
        while directory.starts_with(&top) && directory.pop() {
            found.extend(modalias(&directory));
        }
    }
    Ok(found)
}

/// The type of what is mounted on /, if it is a disk file system.
fn root_type(mounts: &str) -> Option<String> {
    mounts.lines().rev().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
        (place == "/" && is_file_system(kind)).then(|| kind.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn devices_and_those_on_the_way_to_a_disk_are_found() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/pci0/0000:01/virtio0/block/vda");
        fs::create_dir_all(&disk).unwrap();
        fs::create_dir_all(sys.path().join("devices/net0")).unwrap();
        fs::create_dir_all(sys.path().join("class/block")).unwrap();
        for (place, text) in [
            ("pci0/0000:01", "pci:1\n"),
            ("pci0/0000:01/virtio0", "virtio:2\n"),
            ("net0", "pci:3\n"),
        ] {
            fs::write(
                sys.path().join("devices").join(place).join("modalias"),
                text,
            )
            .unwrap();
        }
        symlink(
            "../../devices/pci0/0000:01/virtio0/block/vda",
            sys.path().join("class/block/vda"),
        )
        .unwrap();
        symlink("..", disk.join("subsystem")).unwrap();
        let drivers = read(
            sys.path(),
            "rootfs / rootfs rw 0 0\n/dev/vda / xfs rw 0 0\n",
        )
        .unwrap();
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(
            drivers,
            Drivers::Host {
                modaliases: set(&["pci:1", "pci:3", "virtio:2"]),
                storage: set(&["pci:1", "virtio:2"]),
                root: Some("xfs".into()),
            }
        );
    }

    #[test]
    fn a_directory_without_devices_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        assert!(
            read(empty.path(), "")
                .unwrap_err()
                .to_string()
                .contains("--generic")
        );
    }
}
