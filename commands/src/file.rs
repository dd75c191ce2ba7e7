//! The files of a command line: read with a limit, replaced as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::{FileKind, Wanted, mismatch, replacement};

/// Longest file of a policy, element, list, key or signature, in bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// Reads a file of at most [`MAX_LEN`] bytes.
///
/// # Errors
/// The file cannot be read, or is another kind of file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_LEN)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// The file cannot be read, or is another kind of file.
pub fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    let found = file.metadata();
    if found
        .with_context(|| format!("cannot read {shown}"))?
        .is_dir()
    {
        bail!("{shown} is a directory, expected is a file");
    }
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > limit {
        bail!(
            "{shown} has more than {limit} bytes: it is not such a file, it looks like {}",
            FileKind::of(&bytes)
        );
    }
    Ok(bytes)
}

/// Reads a text file.
///
/// # Errors
/// The file cannot be read, or is another kind of file.
pub fn read_text(path: &Path, wanted: Wanted) -> Result<String> {
    // Not copied: it may be a private key, which the caller wipes.
    String::from_utf8(read(path)?).or_else(|error| {
        let why = error.utf8_error();
        parsed(path, error.as_bytes(), wanted, Err(why))
    })
}

/// What a parser made of a file. Where it refuses, and the file looks like one of another kind, the
/// sentence says so, and what to give instead.
///
/// # Errors
/// What the parser said, in words that name the file.
pub fn parsed<T, E: Into<Error>>(
    path: &Path,
    bytes: &[u8],
    wanted: Wanted,
    result: Result<T, E>,
) -> Result<T> {
    result.map_err(|error| match mismatch(path, bytes, wanted) {
        Some(sentence) => anyhow!(sentence),
        None => error.into().context(path.display().to_string()),
    })
}

/// Replaces a file as a whole: a kill at any moment leaves the old one or the new one. What is no
/// ordinary file (a pipe, /dev/stdout) is written to as it is.
///
/// # Errors
/// The system refuses; the old file is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let shown = path.display();
    // What cannot be looked at cannot be written either: its error comes below.
    let old = fs::metadata(path).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        let opened = OpenOptions::new().write(true).open(path);
        let written = opened.and_then(|mut file| file.write_all(bytes));
        return written.with_context(|| format!("cannot write {shown}"));
    }
    path.file_name()
        .with_context(|| format!("{shown} is not a file name"))?;
    replacement::replace(path, bytes, old.map(|old| old.permissions()))
        .with_context(|| format!("cannot write {shown}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_a_directory_refused() {
        replace(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let directory = tempfile::tempdir().unwrap();
        assert!(replace(directory.path(), b"x").is_err());
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, [0; 11]).unwrap();
        assert!(read_at_most(&path, 10).is_err());
        assert_eq!(read_at_most(&path, 11).unwrap().len(), 11);
    }
}
