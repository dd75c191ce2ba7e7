//! What is mounted where: proc_pid_mountinfo(5).

use std::{ffi::OsString, fs, io, os::unix::ffi::OsStringExt as _, path::PathBuf};

const TABLE: &str = "/proc/self/mountinfo";

/// A mount that this process sees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub point: PathBuf,
    /// The directory of its file system that is seen there.
    pub root: PathBuf,
    /// The file system's device, as major:minor.
    pub device: String,
    /// The file system's type.
    pub kind: String,
}

/// All mounts of this process's namespace. A line that is not understood is an error: what
/// would be left out may be what programs must not reach.
pub(crate) fn mounts() -> io::Result<Vec<Mount>> {
    parse(&fs::read(TABLE)?)
}

/// Mount points need not be UTF-8.
fn parse(table: &[u8]) -> io::Result<Vec<Mount>> {
    let lines = table.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    let read = |line: &[u8]| {
        mount(line).ok_or_else(|| {
            let line = line.escape_ascii();
            let sentence = format!("{TABLE}: a line that is not understood: {line}");
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        })
    };
    lines.map(read).collect()
}

/// Device, root and mount point are the third to fifth field; the type is the first behind the
/// separator.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let (device, root, point) = (fields.next()?, fields.next()?, fields.next()?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let path = |field| PathBuf::from(OsString::from_vec(unescaped(field)));
    // Device and kind are text; a line where they are not is not understood, which is an error.
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).ok();
    Some(Mount {
        point: path(point),
        root: path(root),
        device: text(device)?,
        kind: text(kind)?,
    })
}

/// White space and backslashes are three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = after.split_first_chunk::<3>().and_then(|(digits, rest)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 8).ok()?, rest))
        });
        let (byte, after) = match octal {
            Some((byte, after)) if *first == b'\\' => (byte, after),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_point_and_type() {
        let line = br"41 31 0:38 /a\040b /sys/fs/two\040words rw shared:9 - cgroup2 cgroup2 rw";
        let found = mount(line).unwrap();
        assert_eq!(found.point, PathBuf::from("/sys/fs/two words"));
        assert_eq!(found.root, PathBuf::from("/a b"));
        assert_eq!(found.device, "0:38");
        assert_eq!(found.kind, "cgroup2");
        assert_eq!(unescaped(br"\\0\134"), br"\\0\".to_vec());
        assert!(mounts().unwrap().iter().any(|mount| mount.kind == "proc"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_and_one_that_is_not_utf_8_is_understood() {
        let sysfs = b"22 28 0:21 / /sys rw - sysfs sysfs rw\n".to_vec();
        for line in ["- cgroup2\n", "22 28 0:21 / /sys rw\n", "x\n"] {
            assert!(
                parse(&[&sysfs, line.as_bytes()].concat()).is_err(),
                "{line}"
            );
        }
        // Whoever may mount something names the place.
        let odd = b"90 28 0:55 / /home/\xff rw - fuse.x x rw\n".to_vec();
        let found = parse(&[odd, sysfs].concat()).unwrap();
        let kinds: Vec<_> = found.iter().map(|mount| mount.kind.as_str()).collect();
        assert_eq!(kinds, ["fuse.x", "sysfs"]);
    }
}
