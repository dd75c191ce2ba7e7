//! Files: read with a limit, replaced as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result, anyhow, bail};
use commands::{FileKind, Wanted, mismatch};

/// Longest file of a policy, element, list, key or signature, in bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// Reads a file of at most [`MAX_LEN`] bytes.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_LEN)
}

/// Reads a file of at most `limit` bytes.
pub fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("can't open {shown}"))?;
    let found = file.metadata();
    if found
        .with_context(|| format!("can't read {shown}"))?
        .is_dir()
    {
        bail!("{shown} is a folder, expected is a file");
    }
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.with_context(|| format!("can't read {shown}"))?;
    if bytes.len() as u64 > limit {
        bail!(
            "{shown} has more than {limit} bytes: it is no such file, it looks like {}",
            FileKind::of(&bytes)
        );
    }
    Ok(bytes)
}

/// Reads a text file.
pub fn read_text(path: &Path, wanted: Wanted) -> Result<String> {
    // Not copied: it may be a private key, which the caller wipes.
    String::from_utf8(read(path)?).or_else(|error| {
        let why = error.utf8_error();
        parsed(path, error.as_bytes(), wanted, Err(why))
    })
}

/// What a parser made of a file. Where it refuses, and the file looks like one of another kind, the
/// sentence says so, and what to give instead.
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
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let shown = path.display();
    // What can't be looked at can't be written either: its error comes below.
    let old = fs::metadata(path).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        let opened = OpenOptions::new().write(true).open(path);
        let written = opened.and_then(|mut file| file.write_all(bytes));
        return written.with_context(|| format!("can't write {shown}"));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .with_context(|| format!("{shown} is no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary: PathBuf = folder.join(temporary);
    let written = (|| {
        let mut file = create(&temporary)?;
        if let Some(old) = &old {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if let Err(error) = written {
        let shown = match fs::remove_file(&temporary) {
            Err(left) if left.kind() != ErrorKind::NotFound => {
                format!("{shown} (and {} is left behind)", temporary.display())
            }
            _ => shown.to_string(),
        };
        return Err(error).with_context(|| format!("can't write {shown}"));
    }
    Ok(())
}

/// A new file, never one that somebody else has put there (or a link to one). What a killed process
/// with this number left behind is removed first.
fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_temporary_files_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        let temporary = format!(".f.{}.new", std::process::id());
        symlink(&other, folder.path().join(temporary)).unwrap();
        replace(&folder.path().join("f"), b"new").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        assert_eq!(fs::read(folder.path().join("f")).unwrap(), b"new");
    }

    #[test]
    fn a_device_is_written_to_and_a_folder_refused() {
        replace(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), b"x").is_err());
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, [0; 11]).unwrap();
        assert!(read_at_most(&path, 10).is_err());
        assert_eq!(read_at_most(&path, 11).unwrap().len(), 11);
    }
}
