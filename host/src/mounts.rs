//! What is mounted where: proc_pid_mountinfo(5).

use std::{ffi::OsString, fs, io, os::unix::ffi::OsStringExt, path::PathBuf};

/// A mount that this process sees.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub point: PathBuf,
    /// The folder of its file system that is seen there.
    pub root: PathBuf,
    /// The file system's device, as major:minor.
    pub device: String,
    /// The file system's type.
    pub kind: String,
}

/// All mounts of this process's name space.
pub(super) fn mounts() -> io::Result<Vec<Mount>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts.lines().filter_map(mount).collect())
}

/// Device, root and mount point are the third to fifth field, the type the first behind the separator.
fn mount(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (device, root, point) = (fields.next()?, fields.next()?, fields.next()?);
    let path = |field| PathBuf::from(OsString::from_vec(unescaped(field)));
    Some(Mount {
        point: path(point),
        root: path(root),
        device: device.to_owned(),
        kind: filesystem.split(' ').next()?.to_owned(),
    })
}

/// White space and backslashes are three octal digits behind a backslash.
fn unescaped(field: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_point_and_type() {
        let line = r"41 31 0:38 /a\040b /sys/fs/two\040words rw shared:9 - cgroup2 cgroup2 rw";
        let found = mount(line).unwrap();
        assert_eq!(found.point, PathBuf::from("/sys/fs/two words"));
        assert_eq!(found.root, PathBuf::from("/a b"));
        assert_eq!(found.device, "0:38");
        assert_eq!(found.kind, "cgroup2");
        assert_eq!(mount("- cgroup2"), None);
        assert_eq!(mount(""), None);
        assert_eq!(unescaped(r"\\0\134"), br"\\0\".to_vec());
        assert!(mounts().unwrap().iter().any(|mount| mount.kind == "proc"));
    }
}
