//! Is a device a logical volume on the enrolled volume?

use std::{fs, os::unix::fs::FileTypeExt, os::unix::fs::MetadataExt, path::Path};

use nix::sys::stat::{major, minor};

/// What the kernel says of block devices, by number.
pub const DEVICES: &str = "/sys/dev/block";

/// Does the node lie on the enrolled volume, all of it, as a logical volume? `None` where that cannot
/// be told: it is not a block device, or the kernel does not say what is below it.
pub fn is_on_volume(devices: &Path, node: &Path, uuid: &str) -> Option<bool> {
    let metadata = fs::metadata(node).ok()?;
    if !metadata.file_type().is_block_device() {
        return None;
    }
    let device = metadata.rdev();
    is_number_on_volume(
        &devices.join(format!("{}:{}", major(device), minor(device))),
        uuid,
    )
}

fn is_number_on_volume(device: &Path, uuid: &str) -> Option<bool> {
    let mapping = |device: &Path| fs::read_to_string(device.join("dm/uuid")).ok();
    // Not a mapping: a disk or a partition.
    let Some(own) = mapping(device) else {
        return device.join("size").exists().then_some(false);
    };
    if !own.starts_with("LVM-") {
        return Some(false);
    }
    let volume = format!("CRYPT-LUKS2-{}-", uuid.replace('-', "")).to_ascii_lowercase();
    let below: Vec<_> = fs::read_dir(device.join("slaves"))
        .ok()?
        .collect::<Result<_, _>>()
        .ok()?;
    let all = below.iter().all(|below| {
        mapping(&below.path()).is_some_and(|below| below.to_ascii_lowercase().starts_with(&volume))
    });
    Some(all && !below.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn device(sys: &Path, name: &str, mapping: Option<&str>, below: &[&str]) -> PathBuf {
        let device = sys.join(name);
        fs::create_dir_all(device.join("slaves")).unwrap();
        fs::write(device.join("size"), "8\n").unwrap();
        if let Some(mapping) = mapping {
            fs::create_dir(device.join("dm")).unwrap();
            fs::write(device.join("dm/uuid"), format!("{mapping}\n")).unwrap();
        }
        for name in below {
            std::os::unix::fs::symlink(sys.join(name), device.join("slaves").join(name)).unwrap();
        }
        device
    }

    #[test]
    fn a_logical_volume_is_on_the_enrolled_volume_with_all_that_is_below_it() {
        let sys = tempfile::tempdir().unwrap();
        let sys = sys.path();
        device(
            sys,
            "254:0",
            Some("CRYPT-LUKS2-0b5bbd4a6d7a4b4b9d5d0f5a2d4f7b11-sda3_crypt"),
            &[],
        );
        device(
            sys,
            "254:9",
            Some("CRYPT-LUKS2-1b5bbd4a6d7a4b4b9d5d0f5a2d4f7b11-other"),
            &[],
        );
        let plain = device(sys, "8:1", None, &[]);
        for (name, below, expected) in [
            ("254:1", &["254:0"] as &[&str], true),
            ("254:2", &["254:9"], false),
            ("254:3", &["254:0", "254:9"], false),
            ("254:4", &["254:0", "8:1"], false),
            ("254:5", &[], false),
        ] {
            let volume = device(sys, name, Some("LVM-abc"), below);
            assert_eq!(is_number_on_volume(&volume, UUID), Some(expected), "{name}");
        }
        assert_eq!(is_number_on_volume(&sys.join("254:0"), UUID), Some(false));
        assert_eq!(is_number_on_volume(&plain, UUID), Some(false));
        assert_eq!(is_number_on_volume(&sys.join("254:77"), UUID), None);
        assert_eq!(is_on_volume(sys, Path::new("/dev/null"), UUID), None);
    }
}
