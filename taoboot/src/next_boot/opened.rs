//! The mapping under which the enrolled volume is open on this machine, to look into it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use agent::forecast::Opened;
use nix::{
    fcntl::{PosixFadviseAdvice, posix_fadvise},
    sys::stat::{major, minor},
};

/// Opens the mapping of the volume on `device`, whose header has that UUID. /sys and /dev are below
/// `root`.
pub fn find(root: &Path, device: &Path, uuid: &str) -> Opened {
    let number = match fs::metadata(device) {
        Ok(metadata) if metadata.file_type().is_block_device() => metadata.rdev(),
        // A file is opened by way of another device.
        _ => return Opened::Closed,
    };
    open_on(root, &format!("{}:{}", major(number), minor(number)), uuid)
}

fn open_on(root: &Path, number: &str, uuid: &str) -> Opened {
    let opened = match mapping(&root.join("sys/class/block"), number, uuid) {
        Ok(Some(name)) => File::open(root.join("dev").join(name)),
        Ok(None) => return Opened::Closed,
        Err(error) => Err(error),
    };
    match opened {
        Ok(file) => {
            // What was written through a logical volume is not in the cache of the device below it. A
            // kernel that keeps its cache shows what was there when somebody read it before.
            let _kept = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            Opened::Readable(file)
        }
        Err(error) => Opened::Unreadable(error.to_string()),
    }
}

/// The kernel's name of the mapping of the volume with that UUID on the device with that number. A
/// copy of the volume has the same UUID on another device.
fn mapping(devices: &Path, number: &str, uuid: &str) -> io::Result<Option<String>> {
    let start = format!("CRYPT-LUKS2-{}-", uuid.replace('-', "")).to_ascii_lowercase();
    for entry in fs::read_dir(devices)? {
        let path = entry?.path();
        let Some(own) = text(&path.join("dm/uuid"))? else {
            continue;
        };
        if own.to_ascii_lowercase().starts_with(&start) && is_on(&path.join("slaves"), number)? {
            let name = path.file_name();
            return Ok(name.map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

fn is_on(below: &Path, number: &str) -> io::Result<bool> {
    for entry in fs::read_dir(below)? {
        let number_of: PathBuf = entry?.path().join("dev");
        if text(&number_of)?.is_some_and(|found| found.trim_end() == number) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A file of the kernel's; `None` where there is none.
fn text(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
    const OTHER: &str = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn device(root: &Path, name: &str, mapping: &str, below: &str) {
        let device = root.join("sys/class/block").join(name);
        fs::create_dir_all(device.join("dm")).unwrap();
        fs::write(device.join("dm/uuid"), format!("{mapping}\n")).unwrap();
        fs::create_dir_all(device.join("slaves/x")).unwrap();
        fs::write(device.join("slaves/x/dev"), format!("{below}\n")).unwrap();
    }

    #[test]
    fn the_mapping_of_this_volume_on_this_device_is_read_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let found = |number: &str| open_on(root, number, UUID);
        // Without /sys nothing is certain.
        assert!(matches!(found("8:3"), Opened::Unreadable(_)));
        fs::create_dir_all(root.join("sys/class/block/sda3")).unwrap();
        assert!(matches!(found("8:3"), Opened::Closed));
        let hex = |uuid: &str| uuid.replace('-', "");
        // A copy of the volume, another volume, and a logical volume.
        device(
            root,
            "dm-0",
            &format!("CRYPT-LUKS2-{}-copy", hex(UUID)),
            "8:19",
        );
        device(
            root,
            "dm-1",
            &format!("CRYPT-LUKS2-{}-x", hex(OTHER)),
            "8:3",
        );
        device(root, "dm-2", &format!("LVM-{}", hex(UUID)), "8:3");
        assert!(matches!(found("8:3"), Opened::Closed));
        let own = format!("CRYPT-LUKS2-{}-sda3_crypt", hex(UUID).to_uppercase());
        device(root, "dm-3", &own, "8:3");
        assert!(matches!(found("8:3"), Opened::Unreadable(_)));
        fs::create_dir(root.join("dev")).unwrap();
        for name in ["dm-0", "dm-1", "dm-2", "dm-3"] {
            fs::write(root.join("dev").join(name), name).unwrap();
        }
        let Opened::Readable(mut file) = found("8:3") else {
            panic!("it is open");
        };
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "dm-3");
        // A file is no device with a number.
        assert!(matches!(
            find(root, &root.join("dev/dm-3"), UUID),
            Opened::Closed
        ));
    }
}
