//! Removes a directory that a program could fill as it liked: links are not followed, and no depth of
//! directories takes more memory, stack or descriptors than one.

use std::{ffi::CStr, io, os::fd::OwnedFd, path::Path};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};

const FLAGS: OFlag = OFlag::O_DIRECTORY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_RDONLY);

/// Removes it with all that is in it. It is well if it is not there.
pub(crate) fn remove_all(path: &Path) -> io::Result<()> {
    let top = match openat(AT_FDCWD, path, FLAGS, Mode::empty()) {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // What is in a directory of the uppermost one goes up beside it, under a name that is not there.
    // Entries are taken as they are read, so that their number does not matter either.
    let mut moved: u64 = 0;
    loop {
        let mut empty = true;
        each(&top, |name| {
            empty = false;
            if is_removed(&top, name)? {
                return Ok(());
            }
            let inner = openat(&top, name, FLAGS, Mode::empty())?;
            each(&inner, |below| match is_removed(&inner, below)? {
                true => Ok(()),
                false => move_up(&inner, below, &top, &mut moved),
            })?;
            is_removed(&top, name).map(drop)
        })?;
        if empty {
            break;
        }
    }
    match unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn each(directory: &OwnedFd, mut entry: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    let again = openat(directory, ".", FLAGS, Mode::empty())?;
    for found in Dir::from_fd(again)?.iter() {
        let found = found?;
        if ![c".", c".."].contains(&found.file_name()) {
            entry(found.file_name())?;
        }
    }
    Ok(())
}

/// False: it is a directory with something in it.
fn is_removed(directory: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let removed = match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => unlinkat(directory, name, UnlinkatFlags::RemoveDir),
        other => other,
    };
    match removed {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn move_up(inner: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved = moved
            .checked_add(1)
            .ok_or_else(|| io::Error::other("too many directories"))?;
        let new = format!(".removed-{moved}");
        // An empty directory of that name is replaced, which is as good.
        match renameat(inner, name, top, new.as_str()) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("kept/inside")).unwrap();
        fs::write(path("kept/inside/file"), "").unwrap();
        fs::create_dir_all(path("gone/a/b")).unwrap();
        fs::write(path("gone/a/b/file"), "").unwrap();
        fs::write(path("gone/.removed-1"), "in the way").unwrap();
        symlink(path("kept"), path("gone/link")).unwrap();
        symlink(path("kept"), path("gone/a/link")).unwrap();
        remove_all(&path("gone")).unwrap();
        assert!(!path("gone").exists());
        assert!(path("kept/inside/file").exists());
        remove_all(&path("gone")).unwrap();
        symlink(path("kept"), path("link")).unwrap();
        assert!(remove_all(&path("link")).is_err());
        assert!(path("kept/inside/file").exists());
    }

    /// Deeper than a path, the open files of a process, or a stack of calls can be.
    #[test]
    fn no_depth_is_too_deep() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut at = openat(AT_FDCWD, &top, FLAGS, Mode::empty()).unwrap();
        for _ in 0..20_000 {
            nix::sys::stat::mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = openat(&at, "d", FLAGS, Mode::empty()).unwrap();
        }
        drop(at);
        let remove = std::thread::Builder::new().stack_size(128 << 10);
        let removed = remove.spawn(move || remove_all(&top)).unwrap();
        removed.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
