//! Replacing an image as a whole: a reader sees the old one or the new one, also after a crash or on a full
//! disk, never a part.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use commands::replacement::{self, ReplaceError};

/// Mode of an image: it holds no secret, and boot loaders and tools read it.
const MODE: u32 = 0o644;

/// Writes `data` to `path` by way of a temporary file in the same directory.
///
/// # Errors
/// The target is not a regular file, or the system refuses (full disk, no rights);
/// the old file is untouched then and the temporary one is removed.
pub fn replace(path: &Path, data: &[u8]) -> Result<()> {
    let target = resolve(path)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if target.file_name().is_none() {
        bail!("{} names no file to write the image to", path.display());
    }
    let replaced = replacement::replace(&target, data, Some(Permissions::from_mode(MODE)));
    replaced.map_err(|error| match error {
        ReplaceError::Create(error) => {
            anyhow::Error::new(error).context(format!("cannot write in {}", directory.display()))
        }
        ReplaceError::Write { source, left } => anyhow!(
            "{} is unchanged: writing {} bytes in {} failed: {}{}",
            path.display(),
            data.len(),
            directory.display(),
            sentence(&source),
            left.map_or_else(String::new, |left| format!(
                "; {} is left behind",
                left.display()
            )),
        ),
        ReplaceError::Sync(error) => anyhow::Error::new(error).context(format!(
            "{} is written, but its directory cannot be synced",
            path.display()
        )),
    })
}

/// Follows a symbolic link, and refuses what a rename would destroy: as root it
/// would put a plain file where /dev/full was.
fn resolve(path: &Path) -> Result<PathBuf> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            fs::canonicalize(path).with_context(|| format!("cannot resolve {}", path.display()))
        }
        Ok(found) if found.is_dir() => {
            bail!(
                "{} is a directory; name the file to write the image to",
                path.display()
            )
        }
        Ok(_) => bail!(
            "{} is not a regular file; the image is not written over it",
            path.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_path_buf()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

fn sentence(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull => "the disk is full; make room and run it again".into(),
        ErrorKind::QuotaExceeded => "the quota is used up; make room and run it again".into(),
        ErrorKind::FileTooLarge => {
            "the file size limit (ulimit -f) is lower than the image; raise it".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_as_a_whole_with_mode_0644_and_nothing_is_left_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("initrd.img");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o644
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_symbolic_link_keeps_pointing_at_the_new_image() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("initrd.img-1");
        let link = directory.path().join("initrd.img");
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("initrd.img-1", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn directories_devices_and_missing_directories_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for (path, words) in [
            (directory.path().to_path_buf(), "is a directory"),
            (PathBuf::from("/dev/full"), "not a regular file"),
            (directory.path().join("none/initrd.img"), "cannot write in"),
        ] {
            let error = replace(&path, b"x").unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
