//! From the initramfs to the real root: check that it has an init, move the mounts, empty
//! the initramfs, and become the real init.

pub(super) mod udev_db;

use std::{
    ffi::{CString, OsString},
    fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::statfs::{FsType, TMPFS_MAGIC, statfs},
    unistd::{chdir, chroot, execv},
};

use crate::boot::{evidence::Ready, mounts::SYSROOT};

/// statfs(2): an initramfs is a ramfs or, with CONFIG_TMPFS, a tmpfs.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// What is tried as init when the command line names none, as in the kernel's init/main.c.
const USUAL_INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/// Why the real root cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum PivotError {
    /// No init to run.
    #[error("the root file system has no {wanted}: is this the right volume?")]
    NoInit {
        /// What was looked for.
        wanted: String,
    },
    /// A system call failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done.
        step: String,
        /// The system's reason.
        source: Errno,
    },
    /// This is not an initramfs, so it must not be emptied.
    #[error("/ is not an initramfs: nothing was deleted")]
    NotAnInitramfs,
    /// The real init could not be executed.
    #[error("cannot execute {init}: {source}")]
    Exec {
        /// The program.
        init: String,
        /// The system's reason.
        source: Errno,
    },
}

fn step(step: impl Into<String>) -> impl FnOnce(Errno) -> PivotError {
    let step = step.into();
    move |source| PivotError::Step { step, source }
}

/// Finds the real init below [`SYSROOT`] before anything is given up.
pub fn find_init(asked: Option<&Path>) -> Result<PathBuf, PivotError> {
    let candidates: Vec<PathBuf> = match asked {
        Some(init) => vec![init.to_path_buf()],
        // A shell as init would be an unlocked machine for whoever stands before it.
        None => USUAL_INITS
            .iter()
            .filter(|init| !init.ends_with("/sh"))
            .map(PathBuf::from)
            .collect(),
    };
    candidates
        .iter()
        .find(|init| is_executable_within(Path::new(SYSROOT), init))
        .cloned()
        .ok_or_else(|| PivotError::NoInit {
            wanted: candidates
                .iter()
                .map(|init| init.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// Follows absolute links relative to `root`, as the chrooted exec will.
fn is_executable_within(root: &Path, path: &Path) -> bool {
    let mut current = path.to_path_buf();
    for _ in 0..16 {
        let Ok(relative) = current.strip_prefix("/") else {
            return false;
        };
        let full = root.join(relative);
        let Ok(metadata) = fs::symlink_metadata(&full) else {
            // A directory on the way may be an absolute link; exec will tell.
            return fs::metadata(&full).is_ok();
        };
        if !metadata.is_symlink() {
            return metadata.is_file() && metadata.mode() & 0o111 != 0;
        }
        let Ok(target) = fs::read_link(&full) else {
            return false;
        };
        current = current.parent().unwrap_or(Path::new("/")).join(target);
    }
    false
}

/// Moves /dev, /proc, /sys and /run, empties the initramfs, and makes the real root `/`.
pub fn switch_root(_ready: &Ready) -> Result<(), PivotError> {
    for target in ["/dev", "/proc", "/sys", "/run"] {
        let moved = format!("{SYSROOT}{target}");
        if !Path::new(&moved).is_dir() {
            return Err(PivotError::Step {
                step: format!("the root file system has no {target}"),
                source: Errno::ENOENT,
            });
        }
        mount(
            Some(target),
            moved.as_str(),
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        )
        .map_err(step(format!("cannot move {target} to the real root")))?;
    }
    chdir(SYSROOT).map_err(step("cannot enter the real root"))?;
    empty_initramfs()?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(step("cannot move the real root to /"))?;
    chroot(".").map_err(step("cannot make the real root /"))?;
    chdir("/").map_err(step("cannot enter /"))
}

/// Deletes every file of the initramfs: what stays would be memory that nobody can use.
fn empty_initramfs() -> Result<(), PivotError> {
    let kind = statfs("/")
        .map_err(step("cannot examine /"))?
        .filesystem_type();
    if kind != RAMFS_MAGIC && kind != TMPFS_MAGIC {
        return Err(PivotError::NotAnInitramfs);
    }
    let device = fs::metadata("/")
        .map_err(|_| PivotError::NotAnInitramfs)?
        .dev();
    empty(Path::new("/"), device, 0);
    Ok(())
}

/// What cannot be deleted stays: it costs memory, never safety (no secret is a file there).
fn empty(directory: &Path, device: u64, depth: usize) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        // Another device is a mount: the real root itself.
        if metadata.dev() != device || depth > 32 {
            continue;
        }
        if metadata.is_dir() {
            empty(&path, device, depth.saturating_add(1));
            drop(fs::remove_dir(&path));
        } else {
            drop(fs::remove_file(&path));
        }
    }
}

/// Becomes the real init with the arguments the kernel gave to /init. Returns only on error.
pub fn exec_init(
    _ready: &Ready,
    init: &Path,
    arguments: impl Iterator<Item = OsString>,
) -> PivotError {
    let name = init.display().to_string();
    let words = std::iter::once(init.as_os_str().to_os_string()).chain(arguments);
    // Arguments came from execve, so they hold no zero byte.
    let words: Vec<CString> = words
        .filter_map(|word| CString::new(word.into_vec()).ok())
        .collect();
    match words.first() {
        Some(program) => match execv(program, &words) {
            Ok(never) => match never {},
            Err(source) => PivotError::Exec { init: name, source },
        },
        None => PivotError::Exec {
            init: name,
            source: Errno::ENOENT,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn an_init_behind_absolute_links_is_found_within_the_root() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("sbin")).unwrap();
        fs::create_dir_all(at("lib/systemd")).unwrap();
        fs::write(at("lib/systemd/systemd"), "x").unwrap();
        symlink("/lib/systemd/systemd", at("sbin/init")).unwrap();
        assert!(
            !is_executable_within(root.path(), Path::new("/sbin/init")),
            "not executable yet"
        );
        fs::set_permissions(at("lib/systemd/systemd"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_executable_within(root.path(), Path::new("/sbin/init")));
        symlink("/loop", at("loop")).unwrap();
        assert!(!is_executable_within(root.path(), Path::new("/loop")));
        assert!(!is_executable_within(root.path(), Path::new("/nothing")));
    }
}
