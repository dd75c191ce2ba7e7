//! What of the machine programs must not see: where the state of hosts is, and where their
//! administrators' sockets are, by every path that leads there.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{
    authority::state_lock::StateLock,
    confine::{
        hiding::{Device, Hidden},
        mounts::{self, Mount},
    },
    policy::devices::MOST_DEVICES,
};

/// Where hosts keep their state unless they are told otherwise.
const STATES: [&str; 2] = ["/var/lib/tao", "/var/lib/taoboot/tao"];
/// Where they listen unless they are told otherwise, and where taoboot's resident agent does.
const SOCKETS: [&str; 2] = ["/run/tao/admin.sock", "/run/tao/reseal.sock"];
/// The resident agent's, beside the host's: it takes everybody of root's user for an administrator.
const RESEAL: &str = "reseal.sock";

/// The host's own places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub state: Option<PathBuf>,
    /// No other host has it.
    pub lock: StateLock,
    pub socket: PathBuf,
    /// Devices that the policy lets programs have.
    pub devices: Vec<PathBuf>,
}

impl Places {
    /// Where the state is, once it is there: a directory that is made later could not be hidden.
    pub(crate) fn make_state(&self) -> io::Result<Option<PathBuf>> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state);
        match made {
            // It cannot be made later either, unless that changes.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
            Err(error) => Err(error),
            Ok(()) => {
                self.lock.take()?;
                fs::canonicalize(state).map(Some)
            }
        }
    }

    /// What is to be hidden of the machine as it is now.
    pub(crate) fn hidden(&self) -> io::Result<Hidden> {
        let mut directories = STATES.map(PathBuf::from).to_vec();
        match self.make_state() {
            Ok(state) => directories.extend(state),
            // It may be there all the same: what is not there needs no cover.
            Err(error) => {
                log::debug!("the host's state cannot be made: {error}");
                directories.extend(self.state.clone());
            }
        }
        directories.extend(of_this_user());
        let mut files = SOCKETS.map(PathBuf::from).to_vec();
        files.push(self.socket.clone());
        files.push(self.socket.with_file_name(RESEAL));
        files.extend(socket_of_this_user());
        let mounts = mounts::mounts()?;
        let mut hidden = Hidden::default();
        for path in directories.into_iter().chain(files) {
            let Some(path) = present(&path)? else {
                continue;
            };
            for path in aliases(&path, &mounts) {
                let list = match path.is_dir() {
                    true => &mut hidden.directories,
                    false => &mut hidden.files,
                };
                let path = CString::new(path.into_os_string().into_vec())?;
                if !list.contains(&path) {
                    list.push(path);
                }
            }
        }
        hidden.devices = self.present_devices()?;
        Ok(hidden)
    }

    fn present_devices(&self) -> io::Result<Vec<Device>> {
        let is_device = |path: &&PathBuf| {
            fs::metadata(path).is_ok_and(|file| file.file_type().is_char_device())
        };
        let present = self.devices.iter().filter(is_device).take(MOST_DEVICES);
        let device = |path: &PathBuf| -> io::Result<Device> {
            let directory = path
                .parent()
                .filter(|directory| *directory != Path::new("/dev"));
            let text = |path: &Path| CString::new(path.as_os_str().to_owned().into_vec());
            Ok(Device {
                path: text(path)?,
                directory: directory.map(text).transpose()?,
            })
        };
        present.map(device).collect()
    }
}

/// A path without links, if there is anything at its end. What this host may not look at it could not
/// cover, and no program of its user's may either.
fn present(path: &Path) -> io::Result<Option<PathBuf>> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match fs::canonicalize(path) {
        Ok(path) => Ok(Some(path)),
        Err(error) if [NotFound, NotADirectory, PermissionDenied].contains(&error.kind()) => {
            Ok(None)
        }
        Err(error) => {
            let sentence = format!("{} cannot be hidden: {error}", path.display());
            Err(io::Error::new(error.kind(), sentence))
        }
    }
}

/// Where a host of this user keeps its state by the XDG base directories.
fn of_this_user() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let path = state.or_else(home)?.join("tao");
    path.is_absolute().then_some(path)
}

/// Where a host of this user listens by the XDG base directories.
fn socket_of_this_user() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?).join("tao/admin.sock");
    path.is_absolute().then_some(path)
}

/// Every path by which the file or directory at `path`, or a part of it, is seen: its file system may
/// be mounted at several places.
fn aliases(path: &Path, mounts: &[Mount]) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    // Of several at the same place the last one is seen.
    let own = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count());
    let inside = own.and_then(|own| {
        let below = path.strip_prefix(&own.point).ok()?;
        Some((own, own.root.join(below)))
    });
    let Some((own, inside)) = inside else {
        return found;
    };
    let same = mounts.iter().filter(|mount| mount.device == own.device);
    for mount in same {
        let (alias, whole) = if let Ok(below) = inside.strip_prefix(&mount.root) {
            (mount.point.join(below), true)
        } else if mount.root.starts_with(&inside) {
            (mount.point.clone(), false)
        } else {
            continue;
        };
        // What is mounted over it may be seen there instead.
        let seen = match whole {
            true => same_file(&alias, path),
            false => alias.exists(),
        };
        if seen && !found.contains(&alias) {
            found.push(alias);
        }
    }
    found
}

fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let file = fs::symlink_metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    };
    identity(one).is_some() && identity(one) == identity(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_agents_socket_is_hidden_like_the_hosts_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let places = Places {
            socket: dir.join("admin.sock"),
            ..Places::default()
        };
        for name in ["admin.sock", "reseal.sock"] {
            fs::write(dir.join(name), "").unwrap();
            let hidden = places.hidden().unwrap();
            let path = CString::new(dir.join(name).into_os_string().into_vec()).unwrap();
            assert!(hidden.files.contains(&path), "{name}: {hidden:?}");
        }
    }

    #[test]
    fn what_is_mounted_twice_is_found_twice() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(dir.join("state/part")).unwrap();
        let link = dir.join("elsewhere");
        fs::create_dir(&link).unwrap();
        let mount = |point: &Path, root: &str, device: &str| Mount {
            point: point.to_owned(),
            root: root.into(),
            device: device.to_owned(),
            kind: String::new(),
        };
        let state = dir.join("state");
        let found = |mounts: &[Mount]| aliases(&state, mounts);
        // Its own mount, one of a part of it, and one of another file system.
        let mounts = [
            mount(&dir, "/", "8:1"),
            mount(&link, "/state/part", "8:1"),
            mount(Path::new("/proc"), "/state", "8:2"),
        ];
        assert_eq!(found(&mounts), [state.clone(), link]);
        assert_eq!(found(&[]), std::slice::from_ref(&state));
    }
}
