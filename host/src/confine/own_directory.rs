//! A program's own directory: it keeps files there, finds them after a restart, and nobody but root
//! and programs of the same name see them.
//!
//! It is kept in the host's state, and the program finds it where the host's state is for the
//! rest of the machine: what it must not see is covered by what is its own.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{
            ffi::OsStringExt as _,
            fs::{DirBuilderExt as _, MetadataExt as _, chown},
        },
    },
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid};

use crate::confine::{
    mount_calls::{NO_DEVICES, NO_SET_USER_ID, copy, restrict_copy},
    numbers::out_of_the_way,
};

/// Directory of the directories, in the host's state.
const FOLDER: &str = "programs";

/// A mount of the directory, and where the program finds it.
pub(crate) struct OwnDirectory {
    pub mount: OwnedFd,
    pub place: PathBuf,
}

/// Where the directory of the programs with that user is, once there is one.
pub(crate) fn directory_of(state: &Path, uid: Uid) -> PathBuf {
    state.join(FOLDER).join(uid.to_string())
}

/// The numbers of the users that have a directory.
pub(crate) fn users_with_directory(state: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(state.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl OwnDirectory {
    /// The directory of the programs with that user, which no other programs have. It is made if it
    /// is missing. `state` is where the host's state is.
    pub(crate) fn of(state: &Path, uid: Uid, gid: Gid) -> io::Result<Self> {
        let path = directory_of(state, uid);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        let found = fs::symlink_metadata(&path)?;
        // Only root writes to the directories above; what is not a directory was put there by root.
        if !found.is_dir() {
            let sentence = format!("{} is not a directory", path.display());
            return Err(io::Error::other(sentence));
        }
        if found.uid() != uid.as_raw() || found.gid() != gid.as_raw() {
            chown(&path, Some(uid.as_raw()), Some(gid.as_raw()))?;
        }
        let text = CString::new(path.into_os_string().into_vec())?;
        let mount = out_of_the_way(copy(&text)?)?;
        restrict_copy(mount.as_fd(), NO_DEVICES | NO_SET_USER_ID)?;
        Ok(Self {
            mount,
            place: state.to_owned(),
        })
    }

    /// The mount, and where it goes.
    pub(crate) fn into_parts(self) -> io::Result<(OwnedFd, CString)> {
        Ok((
            self.mount,
            CString::new(self.place.into_os_string().into_vec())?,
        ))
    }
}
