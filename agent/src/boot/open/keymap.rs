//! The keymap of the screen: the image may have one, made by the distribution's own tools, and the kernel
//! gets it before anybody is asked for something.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use nix::{errno::Errno, libc::O_NOCTTY};
use storage::keymap::{Keymap, KeymapError, LONGEST};

use super::keymap_ioctl::{set_key, use_unicode};

/// Where the image has it.
pub(super) const FILE: &str = "/etc/taoboot.keymap";
/// Whichever screen is in front; the kernel has one keymap for all of them.
pub(super) const SCREEN: &str = "/dev/tty0";

/// Why the keys keep the meaning that the kernel gives them.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeymapFailure {
    #[error("the image's keymap cannot be read: {0}")]
    Read(io::Error),
    #[error("the image's keymap: {0}")]
    Keymap(#[from] KeymapError),
    #[error("the screen, which should get the image's keymap, cannot be opened: {0}")]
    Screen(io::Error),
    #[error("the kernel does not take the image's keymap: {0}")]
    Kernel(Errno),
}

/// Loads it; without one, or without a screen, there is nothing to do.
pub(super) fn load(file: &Path, screen: &Path) -> Result<(), KeymapFailure> {
    let Some(bytes) = bytes(file).map_err(KeymapFailure::Read)? else {
        return Ok(());
    };
    let keymap = Keymap::read(&bytes)?;
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NOCTTY)
        .open(screen);
    let terminal = match opened {
        Ok(terminal) => terminal,
        Err(error) if is_no_screen(&error) => return Ok(()),
        // A PIN that is typed with another keymap is a wrong one, and counted.
        Err(error) => return Err(KeymapFailure::Screen(error)),
    };
    // Its letters beyond ASCII are Unicode's.
    use_unicode(terminal.as_fd()).map_err(KeymapFailure::Kernel)?;
    for entry in keymap.entries() {
        match set_key(terminal.as_fd(), *entry) {
            // A meaning that this kernel does not have: that key keeps what it means.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(error) => return Err(KeymapFailure::Kernel(error)),
        }
    }
    Ok(())
}

/// A machine with serial lines only: no node, or nothing behind it.
fn is_no_screen(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOENT | Errno::ENXIO | Errno::ENODEV))
}

/// A byte more than a keymap can have, so that a longer file is not taken for one.
fn bytes(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST.saturating_add(1)).map_err(io::Error::other)?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsRawFd, path::PathBuf};

    use super::*;

    const GERMAN: &[u8] = include_bytes!("../../../../storage/tests/vectors/keymap/de-nodeadkeys");

    #[test]
    fn what_is_no_keymap_is_said_and_what_is_not_there_is_not_missed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keymap");
        let pty = nix::pty::openpty(None, None).unwrap();
        let screen = PathBuf::from(format!("/proc/self/fd/{}", pty.slave.as_raw_fd()));
        assert!(load(&file, &screen).is_ok(), "no keymap");
        fs::write(&file, GERMAN).unwrap();
        assert!(load(&file, Path::new("/dev/none")).is_ok(), "no screen");
        // One that is there and cannot be opened is missed: a directory, whoever tries.
        let error = load(&file, directory.path()).unwrap_err().to_string();
        assert!(error.contains("cannot be opened"), "{error}");
        // A terminal that is no screen does not take one.
        let error = load(&file, &screen).unwrap_err().to_string();
        assert!(error.contains("the kernel does not take"), "{error}");
        for (bytes, said) in [
            (&b"keymaps 0-127"[..], "does not begin with"),
            (&GERMAN[..300], "300 bytes"),
            (&[GERMAN, GERMAN].concat(), "bytes where"),
        ] {
            fs::write(&file, bytes).unwrap();
            let error = load(&file, &screen).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(load(directory.path(), &screen).is_err());
    }

    #[test]
    fn only_a_screen_that_is_not_there_is_not_missed() {
        let no_screen = |errno: Errno| is_no_screen(&io::Error::from(errno));
        for errno in [Errno::ENOENT, Errno::ENXIO, Errno::ENODEV] {
            assert!(no_screen(errno), "{errno}");
        }
        for errno in [Errno::EACCES, Errno::EIO, Errno::EBUSY, Errno::EMFILE] {
            assert!(!no_screen(errno), "{errno}");
        }
    }
}
