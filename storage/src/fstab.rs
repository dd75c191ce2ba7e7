//! /etc/fstab: what is mounted at boot (fstab(5), systemd.mount(5)). Lines with too few fields are passed
//! over, as systemd does.

use crate::table::{self, TableError, unescape, unquote};

/// A line of fstab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    /// Which line it is, counted from 1.
    pub number: usize,
    /// What is mounted.
    pub device: String,
    /// Where.
    pub place: String,
    /// `ext4`, `swap`, ...
    pub kind: String,
    /// Comma-separated.
    pub options: String,
    /// When it is checked: 0 is never, and also what is not a number.
    pub pass: u32,
}

impl MountLine {
    /// The value of an option, empty for one without; the last counts.
    pub fn option(&self, wanted: &str) -> Option<&str> {
        let options = self.options.split(',').rev();
        options
            .map(|option| option.split_once('=').unwrap_or((option, "")))
            .find_map(|(name, value)| (name == wanted).then_some(value))
    }

    fn has(&self, wanted: &str) -> bool {
        self.options.split(',').any(|option| option == wanted)
    }

    /// Is it mounted at boot?
    pub fn at_boot(&self) -> bool {
        !self.has("noauto")
    }

    /// Does the boot stop without it?
    pub fn needed(&self) -> bool {
        self.at_boot() && !self.has("nofail") && !self.is_swap()
    }

    /// Swap is wanted, but a boot goes on without it.
    pub fn is_swap(&self) -> bool {
        self.kind == "swap"
    }

    /// Is it mounted by the initramfs: root, /usr, and what says so?
    pub fn in_initramfs(&self) -> bool {
        matches!(self.place.as_str(), "/" | "/usr") || self.has("x-initrd.mount")
    }
}

/// Reads /etc/fstab.
///
/// # Errors
/// If it has too many lines or one that is too long.
pub fn read(text: &str) -> Result<Vec<MountLine>, TableError> {
    let lines = table::fields(text)?.into_iter();
    Ok(lines
        .filter_map(|(number, mut fields)| {
            Some(MountLine {
                number,
                device: unescape(unquote(fields.next()?)),
                place: unescape(fields.next()?),
                kind: fields.next()?.to_owned(),
                options: fields
                    .next()
                    .map_or_else(|| "defaults".to_owned(), unescape),
                pass: fields
                    .nth(1)
                    .and_then(|pass| pass.parse().ok())
                    .unwrap_or(0),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_name::mapping;
    use proptest::prelude::*;

    #[test]
    fn the_lines_that_installers_write_are_read() {
        let lines = read(
            "/dev/mapper/sda3_crypt / ext4 errors=remount-ro 0 1\n\
             /dev/mapper/x /my\\040data btrfs nofail,subvol=@home 0 0\n\
             /dev/mapper/swap none swap sw 0 0\n#/dev/x /y ext4\n/dev/x\n\
             UUID=1 /var xfs x-initrd.mount\n",
        )
        .unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!(mapping(&lines[0].device), Some("sda3_crypt"));
        assert!(lines[0].needed() && !lines[1].needed() && !lines[2].needed());
        assert_eq!(lines[1].place, "/my data");
        assert_eq!(lines[1].option("subvol"), Some("@home"));
        assert_eq!((lines[0].pass, lines[1].pass), (1, 0));
        let early: Vec<usize> = lines
            .iter()
            .filter(|line| line.in_initramfs())
            .map(|line| line.number)
            .collect();
        assert_eq!(early, [1, 6]);
    }

    proptest! {
        #[test]
        fn fields_are_words_of_the_text(text in "([ -~]|\\PC|[\t\n\r#\\\\]){0,200}") {
            for line in read(&text).unwrap() {
                prop_assert!(line.device.len() <= text.len() && line.place.len() <= text.len());
                prop_assert!(text.contains(&line.kind));
            }
        }
    }
}
