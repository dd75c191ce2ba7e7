//! One writer at a time, and none where a virtual machine has the image open.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, Flock, FlockArg, fcntl},
    libc,
};

use super::error::EnrolmentError;

/// How long flock(2) may be held by another: systemd-udevd holds it for a moment whenever somebody
/// has written to a block device, so that one write of ours would keep the next from happening.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// The lock, held as long as this value.
#[derive(Debug)]
pub(crate) struct VolumeLock {
    _file: File,
}

impl VolumeLock {
    /// Opens the device for writing and locks it. Writes nothing.
    ///
    /// Two kinds of lock are asked: an open file description lock over the whole file, which
    /// other runs of taoboot and QEMU's image locks conflict with, and for a moment flock(2),
    /// which libcryptsetup takes on image files itself during each write.
    pub fn acquire(device: &Path) -> Result<Self, EnrolmentError> {
        let not_writable = |source| EnrolmentError::NotWritable {
            device: device.into(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(device)
            .map_err(not_writable)?;
        let busy = || EnrolmentError::Busy(device.into());
        let started = Instant::now();
        let mut second = OpenOptions::new()
            .read(true)
            .open(device)
            .map_err(not_writable)?;
        loop {
            match Flock::lock(second, FlockArg::LockExclusiveNonblock) {
                Ok(flock) => {
                    drop(flock);
                    break;
                }
                Err((file, Errno::EWOULDBLOCK)) if started.elapsed() < PATIENCE => second = file,
                Err((_, Errno::EWOULDBLOCK)) => return Err(busy()),
                Err((_, errno)) => return Err(not_writable(io::Error::from(errno))),
            }
            sleep(AGAIN);
        }
        let whole_file = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file)) {
            Ok(_) => Ok(Self { _file: file }),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(busy()),
            Err(errno) => Err(not_writable(io::Error::from(errno))),
        }
    }
}
