//! /etc/crypttab and /etc/fstab, as far as they say what systemd opens and mounts at boot
//! (crypttab(5), fstab(5)). Lines with too few fields are passed over, as systemd does.

/// More than any administrator writes.
const MOST_LINES: usize = 4096;
const LONGEST_LINE: usize = 4096;

/// A table that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Too many lines.
    #[error("has more than {MOST_LINES} lines")]
    Long,
    /// A line without an end.
    #[error("line {0} has more than {LONGEST_LINE} bytes")]
    LongLine(usize),
}

/// A line of crypttab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptLine {
    /// Name of the mapping.
    pub name: String,
    /// What is encrypted: `UUID=`, `PARTUUID=`, a path.
    pub device: String,
    /// `none`, or where the key is.
    pub key: String,
    /// Comma-separated.
    pub options: String,
}

/// A line of fstab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    /// What is mounted.
    pub device: String,
    /// Where.
    pub place: String,
    /// `ext4`, `swap`, ...
    pub kind: String,
    /// Comma-separated.
    pub options: String,
}

impl CryptLine {
    /// Is it opened at boot?
    pub fn at_boot(&self) -> bool {
        !has_option(&self.options, "noauto")
    }
}

impl MountLine {
    /// Is it mounted at boot?
    pub fn at_boot(&self) -> bool {
        !has_option(&self.options, "noauto")
    }

    /// Does the boot stop without it?
    pub fn needed(&self) -> bool {
        self.at_boot() && !has_option(&self.options, "nofail") && !self.is_swap()
    }

    /// Swap is wanted, but a boot goes on without it.
    pub fn is_swap(&self) -> bool {
        self.kind == "swap"
    }
}

fn has_option(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

/// Reads /etc/crypttab.
pub fn crypttab(text: &str) -> Result<Vec<CryptLine>, TableError> {
    let lines = fields(text)?.into_iter();
    Ok(lines
        .filter_map(|mut fields| {
            Some(CryptLine {
                name: fields.next()?.to_owned(),
                device: unquote(fields.next()?).to_owned(),
                key: fields.next().unwrap_or("none").to_owned(),
                // As systemd: without the field there are no options.
                options: fields.next().unwrap_or("").to_owned(),
            })
        })
        .collect())
}

/// Reads /etc/fstab.
pub fn fstab(text: &str) -> Result<Vec<MountLine>, TableError> {
    let lines = fields(text)?.into_iter();
    Ok(lines
        .filter_map(|mut fields| {
            Some(MountLine {
                device: unescape(unquote(fields.next()?)),
                place: unescape(fields.next()?),
                kind: fields.next()?.to_owned(),
                options: fields.next().unwrap_or("defaults").to_owned(),
            })
        })
        .collect())
}

fn fields(text: &str) -> Result<Vec<std::str::SplitAsciiWhitespace<'_>>, TableError> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if number > MOST_LINES {
            return Err(TableError::Long);
        }
        if line.len() > LONGEST_LINE {
            return Err(TableError::LongLine(number));
        }
        if !line.trim_start().starts_with('#') {
            found.push(line.split_ascii_whitespace());
        }
    }
    Ok(found)
}

/// `UUID="..."` is as good as `UUID=...`.
fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

/// fstab writes white space as `\040`, `\011`, `\012`, and the backslash as `\134` (getmntent(3)).
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

/// The UUID of a LUKS header or file system that a line names; small letters.
pub fn uuid(device: &str) -> Option<String> {
    let uuid = device
        .strip_prefix("UUID=")
        .or_else(|| device.strip_prefix("/dev/disk/by-uuid/"))?;
    Some(unquote(uuid).to_ascii_lowercase())
}

/// The name of a mapping that a line names.
pub fn mapping(device: &str) -> Option<&str> {
    device
        .strip_prefix("/dev/mapper/")
        .filter(|name| !name.is_empty())
}

/// Where the device that a line names has its node on the running system.
pub fn node(device: &str) -> Option<String> {
    let tags = [
        ("UUID=", "by-uuid"),
        ("LABEL=", "by-label"),
        ("PARTUUID=", "by-partuuid"),
        ("PARTLABEL=", "by-partlabel"),
    ];
    let tagged = tags.iter().find_map(|(tag, folder)| {
        let value = unquote(device.strip_prefix(tag)?);
        Some(format!("/dev/disk/{folder}/{value}"))
    });
    tagged.or_else(|| device.starts_with("/dev/").then(|| device.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_that_installers_write_are_read() {
        let lines = crypttab(
            "# <target> <source>\n\nsda3_crypt UUID=0B5BBD4A-6d7a none luks,discard,x-initrd.attach\n\
             \tdata\t/dev/sdb1 /etc/key noauto,luks\nswap PARTUUID=\"a-1\" /dev/urandom swap\nalone\n",
        )
        .unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(uuid(&lines[0].device).unwrap(), "0b5bbd4a-6d7a");
        assert!(lines[0].at_boot() && !lines[1].at_boot());
        assert_eq!(node(&lines[2].device).unwrap(), "/dev/disk/by-partuuid/a-1");
        let lines = fstab(
            "/dev/mapper/sda3_crypt / ext4 errors=remount-ro 0 1\n\
             /dev/mapper/x /my\\040data btrfs nofail,subvol=@home 0 0\n\
             /dev/mapper/swap none swap sw 0 0\n#/dev/x /y ext4\n/dev/x\n",
        )
        .unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(mapping(&lines[0].device), Some("sda3_crypt"));
        assert!(lines[0].needed() && !lines[1].needed() && !lines[2].needed());
        assert_eq!(lines[1].place, "/my data");
    }

    #[test]
    fn a_table_without_end_is_refused() {
        let many = "a b\n".repeat(MOST_LINES + 1);
        let long = format!("a b\na {}\n", "b".repeat(LONGEST_LINE));
        assert_eq!(crypttab(&many), Err(TableError::Long));
        assert_eq!(fstab(&many), Err(TableError::Long));
        assert_eq!(crypttab(&long), Err(TableError::LongLine(2)));
        assert_eq!(fstab(&long), Err(TableError::LongLine(2)));
    }

    proptest! {
        #[test]
        fn fields_are_words_of_the_text(text in "([ -~]|\\PC|[\t\n\r#\\\\]){0,200}") {
            for line in crypttab(&text).unwrap() {
                prop_assert!(text.contains(&line.name) && text.contains(&line.device));
                prop_assert!(!line.name.contains(char::is_whitespace) || !line.name.is_ascii());
                prop_assert!(!line.name.starts_with('#'));
            }
            for line in fstab(&text).unwrap() {
                prop_assert!(line.device.len() <= text.len() && line.place.len() <= text.len());
                prop_assert!(text.contains(&line.kind));
            }
        }
    }
}
