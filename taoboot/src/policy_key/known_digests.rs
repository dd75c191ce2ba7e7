//! A list of files as sha256sum prints it: lines of a digest, two spaces (or a space and `*`), a name.
//!
//! Only the digests count. What is not such a line is an error: a list that is half read signs less
//! than its owner thinks, and one with other digests none at all.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use commands::file;
use tboot_policy::predict::printed::PrintedFile;

/// A list of all files that an owner ever released.
const MAX_LEN: u64 = 16 << 20;

/// The digests of a list.
pub struct KnownDigests(BTreeSet<String>);

impl KnownDigests {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file::read_at_most(path, MAX_LEN)?;
        let digests = parse(&bytes).with_context(|| path.display().to_string())?;
        ensure!(!digests.is_empty(), "{}: it names no file", path.display());
        Ok(Self(digests))
    }

    /// The first file that is not in the list.
    pub fn misses<'f>(&self, files: &'f [PrintedFile]) -> Option<&'f PrintedFile> {
        let mut files = files.iter();
        files.find(|file| !self.0.contains(&file.sha256.to_ascii_lowercase()))
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeSet<String>> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let digest = |(at, line): (usize, &[u8])| {
        let number = at.saturating_add(1);
        // sha256sum marks a name that it had to escape.
        let line = line.strip_prefix(b"\\").unwrap_or(line);
        // A shorter line has no name, and is refused below.
        let (digest, name) = line.split_at_checked(64).unwrap_or_default();
        let name = name
            .strip_prefix(b"  ")
            .or_else(|| name.strip_prefix(b" *"));
        let is_line = digest.len() == 64
            && digest.iter().all(u8::is_ascii_hexdigit)
            && name.is_some_and(|name| !name.is_empty());
        ensure!(
            is_line,
            "line {number} is not a line of sha256sum: expected 64 hex digits, two spaces and a name"
        );
        Ok(String::from_utf8_lossy(digest).to_ascii_lowercase())
    };
    lines.map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sha256sum_prints_is_read_and_nothing_else() {
        let digest = "ab".repeat(32);
        for line in [
            format!("{digest}  vmlinuz"),
            format!("{}  a b\n", digest.to_uppercase()),
            format!("{digest} *image\n\n"),
            format!("\\{digest}  a\\nb\n"),
        ] {
            assert!(parse(line.as_bytes()).unwrap().contains(&digest), "{line}");
        }
        for line in [
            "x".to_owned(),
            digest.clone(),
            format!("{digest}  "),
            format!("{digest} vmlinuz"),
            format!("{digest}0  vmlinuz"),
            format!("SHA256 (vmlinuz) = {digest}"),
            format!("{}  vmlinuz", "ab".repeat(20)),
            format!("{}  vmlinuz", "xy".repeat(32)),
            format!("{digest}  vmlinuz\r\nx"),
        ] {
            let error = parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("sha256sum"), "{line}: {error}");
        }
    }
}
