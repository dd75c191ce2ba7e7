//! Files that are to be measured are opened as who asks for it: what they may not read is not
//! measured, what they may not execute is not started, and what they may not see they are not
//! told about.

use std::{
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2},
    sys::statfs::{PROC_SUPER_MAGIC, fstatfs},
    unistd::{AccessFlags, faccessat},
};

use crate::measure::credentials::Credentials;

const STACK: usize = 128 * 1024;

/// What is to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read only: a library, what the loader reads.
    Read,
    /// Executed: then it must have the caller's permission for that.
    Execute,
}

/// A file that cannot be opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What the system says to the caller.
    Io(io::Error),
    /// A directory, a device, a file of the kernel's.
    NotRegular,
}

impl<E: Into<io::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

type Request = (PathBuf, Use, mpsc::Sender<Result<File, Refusal>>);

/// Opens files as somebody.
pub(crate) enum Opener {
    /// As this process; a program to be named only need not be executable.
    Own {
        /// Ask for the permission to execute?
        executes: bool,
    },
    /// By a thread that has a caller's rights, and ends with this.
    Caller(mpsc::Sender<Request>),
}

impl Opener {
    /// For a name only: with the rights of this process, whatever may be executed.
    pub(crate) const fn to_name() -> Self {
        Self::Own { executes: false }
    }

    /// With the rights of a caller.
    pub(crate) fn of(caller: &Credentials) -> io::Result<Self> {
        if caller.is_own() {
            return Ok(Self::Own { executes: true });
        }
        let (requests, asked) = mpsc::channel::<Request>();
        let (ready, adopted) = mpsc::channel();
        let caller = caller.clone();
        thread::Builder::new()
            .name("tao-caller".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let may = caller.adopt();
                let failed = may.is_err();
                // Who asked has gone if nobody hears this or an answer.
                if ready.send(may).is_err() || failed {
                    return;
                }
                for (path, purpose, answer) in asked {
                    drop(answer.send(open(&path, purpose)));
                }
            })?;
        adopted.recv().map_err(io::Error::other)??;
        Ok(Self::Caller(requests))
    }

    /// Opens a regular file for reading.
    pub(crate) fn open(&self, path: &Path, purpose: Use) -> Result<File, Refusal> {
        match self {
            Self::Own { executes: true } => open(path, purpose),
            Self::Own { executes: false } => open(path, Use::Read),
            Self::Caller(requests) => {
                let gone = || io::Error::other("the thread that opens files has ended");
                let (answer, answered) = mpsc::channel();
                requests
                    .send((path.to_owned(), purpose, answer))
                    .map_err(|_| gone())?;
                answered.recv().map_err(|_| gone())?
            }
        }
    }
}

/// With the rights of this thread. Not blocking: a FIFO, or a file that somebody has a lease
/// of, must not hold the host up.
fn open(path: &Path, purpose: Use) -> Result<File, Refusal> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // /proc/self/fd and its like would be the host's, not the caller's.
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(AT_FDCWD, path, how).map_err(explained)?);
    // Nor is it what the kernel tells of this very process.
    if !file.metadata()?.is_file() || fstatfs(&file)?.filesystem_type() == PROC_SUPER_MAGIC {
        return Err(Refusal::NotRegular);
    }
    if purpose == Use::Execute {
        may_execute(&file)?;
    }
    Ok(file)
}

/// As execve(2) would see it, with the file's permissions and the mount's.
fn may_execute(file: &File) -> Result<(), Refusal> {
    let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_EACCESS;
    match faccessat(file.as_fd(), c"", AccessFlags::X_OK, flags) {
        Ok(()) => Ok(()),
        Err(Errno::EACCES) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "no permission to execute it",
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn explained(error: Errno) -> io::Error {
    match error {
        Errno::ENOSYS => io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel has no openat2(2) (Linux 5.6), without which no file can be opened as its caller",
        ),
        // RESOLVE_NO_MAGICLINKS, or too many links.
        Errno::ELOOP => io::Error::other(
            "too many symbolic links, or a link to another process's descriptor (such as /dev/fd), which the host cannot follow",
        ),
        other => other.into(),
    }
}
