//! The encrypted volume that the root file system lies on, where none is named.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// What `--volume` names, else the LUKS2 device under `/`.
pub fn named_or_root(volume: Option<&Path>) -> Result<PathBuf> {
    match volume {
        Some(volume) => Ok(volume.to_owned()),
        None => under_root().context("name the LUKS2 volume with --volume"),
    }
}

fn under_root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let number = root_device(&mounts).context("the root file system has no device")?;
    let device = PathBuf::from("/sys/dev/block").join(number);
    let is_luks2 = match fs::read_to_string(device.join("dm/uuid")) {
        Ok(kind) => kind.starts_with("CRYPT-LUKS2-"),
        // A device that is not a mapping.
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("{}/dm/uuid", device.display())),
    };
    if !is_luks2 {
        bail!("the root file system is not on a LUKS2 volume (device {number})");
    }
    let mut below = fs::read_dir(device.join("slaves"))
        .with_context(|| format!("{}/slaves", device.display()))?;
    match (below.next().transpose()?, below.next()) {
        (Some(slave), None) => Ok(Path::new("/dev").join(slave.file_name())),
        _ => bail!("the mapping under the root file system has not exactly one device below it"),
    }
}

/// `major:minor` of the last mount on `/`, which is the visible one (proc(5)).
fn root_device(mounts: &str) -> Option<&str> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            let number = fields.next()?;
            (fields.nth(1)? == "/").then_some(number)
        })
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_mount_on_the_root_counts() {
        let mounts = "22 1 0:20 / / rw - rootfs rootfs rw\n\
                      27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw\n\
                      30 27 8:1 / /boot rw - ext4 /dev/sda1 rw\n";
        assert_eq!(root_device(mounts), Some("254:0"));
        assert_eq!(root_device(""), None);
    }
}
