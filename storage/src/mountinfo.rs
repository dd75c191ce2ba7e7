//! /proc/self/mountinfo: what is mounted where (proc_pid_mountinfo(5)).

use crate::{device_number::Number, table::unescape};

/// More than any machine has.
const MOST_MOUNTS: usize = 65_536;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device; its major number is 0 where a file system is not on one block device.
    pub number: Number,
    /// The directory of the file system that is seen: a subvolume of btrfs.
    pub root: String,
    /// Where it is.
    pub place: String,
    /// `ext4`, `btrfs`, ...
    pub kind: String,
    /// What was mounted, as it was said.
    pub source: String,
    /// The options of the mount, then those of the file system.
    pub options: String,
}

/// A text that is not the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountInfoError {
    /// A line lacks fields.
    #[error("line {0} of mountinfo is not a mount")]
    Line(usize),
    /// It has no end.
    #[error("mountinfo has more than {MOST_MOUNTS} lines")]
    Long,
}

/// Reads all mounts.
///
/// # Errors
/// If a line is not a mount.
pub fn read(text: &str) -> Result<Vec<Mount>, MountInfoError> {
    let mut mounts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if number > MOST_MOUNTS {
            return Err(MountInfoError::Long);
        }
        mounts.push(mount(line).ok_or(MountInfoError::Line(number))?);
    }
    Ok(mounts)
}

/// The mount that is seen at `place`: the last one.
pub fn at<'m>(mounts: &'m [Mount], place: &str) -> Option<&'m Mount> {
    mounts.iter().rev().find(|mount| mount.place == place)
}

fn mount(line: &str) -> Option<Mount> {
    // Any number of optional fields stands before the hyphen.
    let (first, second) = line.split_once(" - ")?;
    let mut first = first.split(' ').skip(2);
    let number = Number::parse(first.next()?)?;
    let (root, place, own) = (first.next()?, first.next()?, first.next()?);
    let mut second = second.split(' ');
    let (kind, source, others) = (second.next()?, second.next()?, second.next()?);
    Some(Mount {
        number,
        root: unescape(root),
        place: unescape(place),
        kind: unescape(kind),
        source: unescape(source),
        options: format!("{own},{others}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "22 1 0:21 / / rw - rootfs rootfs rw\n\
        25 22 0:31 /root / rw,relatime shared:1 master:2 - btrfs /dev/mapper/luks-1 rw,subvol=/root\n\
        26 25 8:1 / /my\\040data ro - ext4 /dev/sda1 ro\n";

    #[test]
    fn the_last_mount_of_a_place_is_seen() {
        let mounts = read(TEXT).unwrap();
        let root = at(&mounts, "/").unwrap();
        assert_eq!((root.kind.as_str(), root.root.as_str()), ("btrfs", "/root"));
        assert_eq!(root.options, "rw,relatime,rw,subvol=/root");
        assert_eq!(at(&mounts, "/my data").unwrap().number.to_string(), "8:1");
        assert_eq!(at(&mounts, "/usr"), None);
    }

    #[test]
    fn a_text_that_is_cut_in_a_line_is_refused() {
        let line = TEXT.lines().nth(1).unwrap();
        let shortest = line.len() - "rw,subvol=/root".len();
        for length in 1..shortest {
            assert_eq!(
                read(&line[..length]),
                Err(MountInfoError::Line(1)),
                "{length}"
            );
        }
        assert_eq!(
            read(&"22 1 0:21 / / rw - a b c\n".repeat(MOST_MOUNTS + 1)),
            Err(MountInfoError::Long)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([0-9:/ \\\\a-c\n-]|\\PC){0,80}") {
            if let Ok(mounts) = read(&text) {
                prop_assert_eq!(mounts.len(), text.lines().count());
            }
        }
    }
}
