//! Files of the host that survive a kill at any moment: there is the old one or the new one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt as _},
    path::Path,
};

/// Writes a file next to the old one, then puts it in its place. Only its owner can read
/// it; the directory is made if it is missing, and only its owner can look into it.
///
/// # Errors
/// When the file cannot be written; the old one is there then.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace_with_mode(path, contents, 0o600)
}

/// The same for a file that others may read.
///
/// # Errors
/// As [`replace`].
pub fn replace_with_mode(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(not_a_file(path));
    };
    make_directory(dir)?;
    let mut name = name.to_owned();
    name.push(".new");
    let new = dir.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)?;
    let written = file
        .write_all(contents)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // A full disk: do not make it fuller. The error to tell is the first one.
        drop(fs::remove_file(&new));
        return Err(error);
    }
    File::open(dir)?.sync_all()
}

/// An empty file that a host writes to, for its owner's eyes only: it names programs and their
/// arguments.
///
/// # Errors
/// When the file cannot be made, or is a symbolic link.
pub fn log(path: &Path) -> io::Result<File> {
    make_directory(path.parent().ok_or_else(|| not_a_file(path))?)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    // One that was there already.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn not_a_file(path: &Path) -> io::Error {
    let text = format!("{}: not the name of a file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Each directory that is made outlives a power cut before anything is put into it.
///
/// # Errors
/// When a directory cannot be made or written to disk.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        None => return Ok(()),
        // A name without a directory.
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    make_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        // By somebody else meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    File::open(parent)?.sync_all()
}

/// Reads a file of at most `most` bytes; `None` if there is none.
///
/// # Errors
/// When the file cannot be read, or is larger than `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut contents = Vec::new();
    let length = file
        .take(most.saturating_add(1))
        .read_to_end(&mut contents)?;
    if length as u64 > most {
        return Err(io::Error::other(format!("larger than {most} bytes")));
    }
    Ok(Some(contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_its_owners_only_also_if_it_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.log");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        log(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(log(&link).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/file");
        assert_eq!(read(&path, 10).unwrap(), None);
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"two");
        assert!(read(&path, 2).is_err());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
