//! Replacing a file: a reader sees the old one or the new one, also after a crash or on a full disk,
//! never a part.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// Mode of a file that was not there before; the umask takes from it.
const MODE: u32 = 0o666;

/// A file that could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Nothing can be written in the directory. The old file is untouched.
    #[error(transparent)]
    Create(io::Error),
    /// The new file could not be written. The old one is untouched.
    #[error("{source}{}", left_behind(.left.as_deref()))]
    Write {
        /// What the system said.
        source: io::Error,
        /// What is left of the new file, if it could not be removed.
        left: Option<PathBuf>,
    },
    /// The file is replaced, but a crash may still undo that.
    #[error("the file is written, but its directory cannot be synced: {0}")]
    Sync(io::Error),
}

/// Makes `path` a file of these bytes, by way of a temporary file in the same directory. Without
/// `permissions` the file gets those of a new one.
///
/// # Errors
/// The system refuses.
pub fn replace(
    path: &Path,
    bytes: &[u8],
    permissions: Option<Permissions>,
) -> Result<(), ReplaceError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = Builder::new()
        .prefix(".")
        .suffix(".new")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory)
        .map_err(ReplaceError::Create)?;
    persist(file, path, bytes, permissions)?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(ReplaceError::Sync)
}

fn persist(
    mut file: NamedTempFile,
    path: &Path,
    bytes: &[u8],
    permissions: Option<Permissions>,
) -> Result<(), ReplaceError> {
    let (source, file) = match fill(file.as_file_mut(), bytes, permissions) {
        Ok(()) => match file.persist(path) {
            Ok(_) => return Ok(()),
            Err(error) => (error.error, error.file),
        },
        Err(error) => (error, file),
    };
    let temporary = file.path().to_owned();
    let left = file.close().is_err().then_some(temporary);
    Err(ReplaceError::Write { source, left })
}

fn fill(file: &mut File, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

fn left_behind(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!(" ({} is left behind)", path.display()),
        None => String::new(),
    }
}
