//! What lies on a block device: kind, UUID and label, from its first blocks.

use std::{
    fs::File,
    io::{self, SeekFrom},
    path::Path,
};

use storage::Disk;

/// A recognised content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `ext4`, `xfs`, `btrfs`, `f2fs`, `luks1`, `luks2`, `swap`, `lvm2`, `partitions`.
    pub kind: &'static str,
    /// Lower case, with hyphens; empty where the kind has none.
    pub uuid: String,
    /// As written, empty where there is none.
    pub label: String,
}

impl Content {
    /// Can the kernel mount it?
    pub fn is_file_system(&self) -> bool {
        matches!(self.kind, "ext4" | "xfs" | "btrfs" | "f2fs")
    }
}

/// Reads a device's first blocks. `Ok(None)`: nothing that is known.
pub fn read(device: &Path) -> io::Result<Option<Content>> {
    read_disk(&mut File::open(device)?)
}

/// The same of what is no node.
pub fn read_disk(disk: &mut dyn Disk) -> io::Result<Option<Content>> {
    let mut start = vec![0_u8; 4096];
    read_full(disk, &mut start, 0)?;
    if let Some(content) = recognise(&start) {
        return Ok(Some(content));
    }
    let mut btrfs = vec![0_u8; 1024];
    read_full(disk, &mut btrfs, 0x10000)?;
    Ok(recognise_btrfs(&btrfs))
}

/// A device shorter than the buffer leaves the rest zero.
fn read_full(disk: &mut dyn Disk, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    disk.seek(SeekFrom::Start(offset))?;
    let mut done = 0_usize;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match disk.read(rest) {
            Ok(0) => break,
            Ok(length) => done = done.saturating_add(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Nothing where the bytes end before.
fn field(bytes: &[u8], offset: usize, length: usize) -> &[u8] {
    let rest = bytes.get(offset..);
    rest.and_then(|rest| rest.get(..length)).unwrap_or(&[])
}

fn recognise(start: &[u8]) -> Option<Content> {
    let at = |offset: usize, length: usize| field(start, offset, length);
    if at(0, 6) == b"LUKS\xba\xbe" {
        let kind = match at(6, 2) {
            [0, 1] => "luks1",
            [0, 2] => "luks2",
            _ => return None,
        };
        let label = if kind == "luks2" {
            text(at(24, 48))
        } else {
            String::new()
        };
        return Some(Content {
            kind,
            uuid: text(at(168, 40)).to_ascii_lowercase(),
            label,
        });
    }
    if at(0x438, 2) == [0x53, 0xef] {
        return Some(Content {
            kind: "ext4",
            uuid: uuid(at(0x468, 16)),
            label: text(at(0x478, 16)),
        });
    }
    if at(0, 4) == b"XFSB" {
        return Some(Content {
            kind: "xfs",
            uuid: uuid(at(32, 16)),
            label: text(at(108, 12)),
        });
    }
    // Linux, include/linux/f2fs_fs.h; a second superblock is a block behind the first.
    if at(0x400, 4) == [0x10, 0x20, 0xf5, 0xf2] {
        return Some(Content {
            kind: "f2fs",
            uuid: uuid(at(0x46c, 16)),
            label: utf16(at(0x47c, 1024)),
        });
    }
    // A hibernation image leaves the area's UUID where it is.
    if matches!(at(4086, 10), b"SWAPSPACE2" | b"S1SUSPEND\0") {
        return Some(Content {
            kind: "swap",
            uuid: uuid(at(0x40c, 16)),
            label: text(at(0x41c, 16)),
        });
    }
    if at(512, 8) == b"LABELONE" && at(536, 8) == b"LVM2 001" {
        return Some(Content {
            kind: "lvm2",
            uuid: String::new(),
            label: String::new(),
        });
    }
    if at(512, 8) == b"EFI PART" {
        return Some(Content {
            kind: "partitions",
            uuid: String::new(),
            label: String::new(),
        });
    }
    None
}

fn recognise_btrfs(superblock: &[u8]) -> Option<Content> {
    let at = |offset: usize, length: usize| field(superblock, offset, length);
    (at(64, 8) == b"_BHRfS_M").then(|| Content {
        kind: "btrfs",
        uuid: uuid(at(32, 16)),
        label: text(at(299, 256)),
    })
}

/// The bytes up to the first zero, as text.
fn text(bytes: &[u8]) -> String {
    let before_zero = bytes.iter().take_while(|byte| **byte != 0);
    let before_zero: Vec<u8> = before_zero.copied().collect();
    String::from_utf8_lossy(&before_zero).into_owned()
}

/// The same of text in UTF-16, little endian.
fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let before_zero: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&before_zero)
}

/// 16 bytes in the order of their text form.
pub(super) fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn made_by(program: &str, arguments: &[&str]) -> Option<Content> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        let output = Command::new(program)
            .args(arguments)
            .arg(file.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        read(file.path()).unwrap()
    }

    #[test]
    fn what_mke2fs_makes_is_recognised() {
        let found = made_by(
            "/usr/sbin/mke2fs",
            &["-q", "-t", "ext4", "-U", UUID, "-L", "a label"],
        )
        .unwrap();
        assert_eq!(
            found,
            Content {
                kind: "ext4",
                uuid: UUID.into(),
                label: "a label".into()
            }
        );
    }

    #[test]
    fn what_mkswap_makes_is_recognised() {
        let found = made_by("/usr/sbin/mkswap", &["-U", UUID, "-L", "swappy"]).unwrap();
        assert_eq!(
            found,
            Content {
                kind: "swap",
                uuid: UUID.into(),
                label: "swappy".into()
            }
        );
    }

    #[test]
    fn what_mkfs_f2fs_makes_is_recognised() {
        let found = made_by("/usr/sbin/mkfs.f2fs", &["-q", "-U", UUID, "-l", "a label"]).unwrap();
        assert_eq!(
            found,
            Content {
                kind: "f2fs",
                uuid: UUID.into(),
                label: "a label".into()
            }
        );
        assert!(found.is_file_system());
    }

    #[test]
    fn nothing_known_and_too_short_files_are_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(read(file.path()).unwrap(), None);
        file.as_file().set_len(100).unwrap();
        assert_eq!(read(file.path()).unwrap(), None);
    }

    #[test]
    fn btrfs_is_recognised_by_its_superblock() {
        let mut block = vec![0_u8; 1024];
        block[64..72].copy_from_slice(b"_BHRfS_M");
        block[32..48].copy_from_slice(&[0xab; 16]);
        block[299..303].copy_from_slice(b"root");
        assert_eq!(recognise_btrfs(&block).unwrap().label, "root");
    }
}
