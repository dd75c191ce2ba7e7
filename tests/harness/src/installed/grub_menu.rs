//! A second opinion on what GRUB loads: the lines of a menu entry as text, without the reader
//! of `tboot-policy`, whose prediction the boots put to the test.
//!
//! It knows only what `20_linux_taoboot` writes for words that need no quotes.

use anyhow::{Context, Result, ensure};

/// A menu entry that loads tboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    /// What `--id` or `$menuentry_id_option` gives it.
    pub id: String,
    /// tboot's file and command line.
    pub tboot: (String, String),
    /// Kernel and initramfs with their command lines.
    pub modules: Vec<(String, String)>,
}

impl MenuEntry {
    /// Does it boot the kernel of this version?
    pub fn boots(&self, version: &str) -> bool {
        let kernel = self.modules.first().map(|(file, _)| file.as_str());
        kernel.is_some_and(|file| file.ends_with(&format!("/vmlinuz-{version}")))
    }

    /// The kernel's command line.
    pub fn cmdline(&self) -> &str {
        self.modules.first().map_or("", |(_, cmdline)| cmdline)
    }
}

/// The entries with a multiboot2 line.
pub fn parse(text: &str) -> Result<Vec<MenuEntry>> {
    let mut entries = Vec::new();
    let mut open: Option<MenuEntry> = None;
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["menuentry", ..] => {
                open = Some(MenuEntry {
                    id: id(line).to_owned(),
                    tboot: Default::default(),
                    modules: Vec::new(),
                });
            }
            ["multiboot2", file, rest @ ..] => {
                let entry = open.as_mut().context("multiboot2 outside an entry")?;
                entry.tboot = ((*file).to_owned(), cmdline(rest)?);
            }
            ["module2", words @ ..] => {
                // GRUB's own option: tboot wants modules as they are.
                let words = words.strip_prefix(&["--nounzip"]).unwrap_or(words);
                let (file, rest) = words.split_first().context("module2 without a file")?;
                let entry = open.as_mut().context("module2 outside an entry")?;
                entry.modules.push(((*file).to_owned(), cmdline(rest)?));
            }
            ["}"] => entries.extend(open.take().filter(|entry| !entry.tboot.0.is_empty())),
            _ => {}
        }
    }
    Ok(entries)
}

fn id(line: &str) -> &str {
    for option in ["$menuentry_id_option", "--id"] {
        if let Some((_, rest)) = line.split_once(option) {
            let rest = rest.trim_start();
            return rest
                .trim_start_matches('\'')
                .split(['\'', ' '])
                .next()
                .unwrap_or_default();
        }
    }
    ""
}

/// GRUB joins words with single blanks.
fn cmdline(words: &[&str]) -> Result<String> {
    let text = words.join(" ");
    ensure!(
        !text.contains(['\'', '"', '\\', '$']),
        "{text:?} has quotes or variables, which the harness does not read"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_with_its_files_and_command_lines() {
        let text = "submenu 'x' --id s {\nmenuentry 'a b' --class gnu $menuentry_id_option 'taoboot-1' {\n\
                    \tmultiboot2 /tboot.gz logging=serial\n\
                    \tmodule2 /vmlinuz-1 root=/dev/mapper/root  ro\n\tmodule2 /initrd-1\n}\n}\n\
                    menuentry 'plain' --id p {\n linux /vmlinuz\n}\n";
        let entries = parse(text).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].id, "taoboot-1");
        assert_eq!(entries[0].tboot.1, "logging=serial");
        assert!(entries[0].boots("1") && !entries[0].boots("2"));
        assert_eq!(entries[0].cmdline(), "root=/dev/mapper/root ro");
    }
}
