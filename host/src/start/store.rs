//! Copies of programs, libraries and scripts that a program is given in place of the files: what
//! was measured is what is loaded, whatever happens to the files and to their directories meanwhile.
//!
//! The copies are in a file system in memory that is mounted in a mount namespace of one
//! thread of the host and nowhere else: there is no path to them, for anybody. A program gets
//! a directory with its copies as a mount that is at no place, read-only, by an open descriptor:
//! no directory of a path to it can be renamed, mounted over, or be a link. Programs that need the
//! same file share its memory, and those that need all the same files share the directory.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::{CStr, CString},
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat},
    libc,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, mkdirat},
    unistd::linkat,
};
use sha2::{Digest, Sha256};

use crate::{
    confine::mount_calls,
    measure::composition::{Bytes, Copy},
};

/// Most memory for copies.
const SIZE: &str = "mode=0755,size=1g";
const STACK: usize = 128 * 1024;
const PIECE: usize = 64 * 1024;
/// The file system's place in the thread's namespace: over something that is there; this
/// thread looks for nothing by a path any more.
const PLACE: &str = "/proc";

/// What the thread is asked for.
enum Request {
    /// A mount of a directory of that name.
    Mount(CString, mpsc::Sender<io::Result<OwnedFd>>),
    /// Another file system, which is empty.
    Renew(mpsc::Sender<io::Result<OwnedFd>>),
}

struct State {
    directory: OwnedFd,
    /// What is in it as a whole: copies, and directories of them.
    have: HashSet<[u8; 32]>,
}

/// The copies.
pub(crate) struct Store {
    requests: mpsc::Sender<Request>,
    state: Mutex<State>,
}

impl Store {
    /// Makes the file system and the thread that has it.
    pub(crate) fn new() -> io::Result<Self> {
        let (requests, asked) = mpsc::channel::<Request>();
        let (ready, made) = mpsc::channel();
        std::thread::Builder::new()
            .name("tao-store".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // Nobody waits any more for an answer if the host has ended.
                let mut directory = match own_space().and_then(|()| directory()) {
                    Ok((ours, theirs)) => {
                        drop(ready.send(Ok(theirs)));
                        ours
                    }
                    Err(error) => return drop(ready.send(Err(error))),
                };
                for request in asked {
                    match request {
                        Request::Mount(name, answer) => {
                            drop(answer.send(mount_of(&directory, &name)));
                        }
                        Request::Renew(answer) => {
                            let renewed = renewed().map(|(ours, theirs)| {
                                directory = ours;
                                theirs
                            });
                            drop(answer.send(renewed));
                        }
                    }
                }
            })?;
        let directory = made.recv().map_err(io::Error::other)??;
        Ok(Self {
            requests,
            state: Mutex::new(State {
                directory,
                have: HashSet::new(),
            }),
        })
    }

    /// What is in `have` is there as a whole, whenever a thread has panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(
        &self,
        request: impl FnOnce(mpsc::Sender<io::Result<OwnedFd>>) -> Request,
    ) -> io::Result<OwnedFd> {
        let (answer, answered) = mpsc::channel();
        self.requests
            .send(request(answer))
            .map_err(|_| io::Error::other("the thread with the copies has ended"))?;
        answered.recv().map_err(io::Error::other)?
    }

    /// A mount of a directory with these copies, at no place.
    pub(crate) fn directory_of(&self, copies: &[Copy]) -> io::Result<OwnedFd> {
        let name = name_of(copies);
        let mut state = self.state();
        if let Err(error) = state.make(name, copies) {
            if error.raw_os_error() != Some(libc::ENOSPC) {
                return Err(error);
            }
            // What runs keeps what it has, for as long as it runs.
            state.directory = self.ask(Request::Renew)?;
            state.have.clear();
            state.make(name, copies)?;
        }
        let name = CString::new(hex::encode(name))?;
        self.ask(|answer| Request::Mount(name, answer))
    }
}

/// A directory's name: what is in it, and where.
fn name_of(copies: &[Copy]) -> [u8; 32] {
    let each: BTreeSet<_> = copies
        .iter()
        .map(|copy| (copy.place.as_os_str(), copy.sha256))
        .collect();
    let mut hash = Sha256::new();
    for (place, sha256) in each {
        hash.update(place.as_bytes());
        // No path has one, and no directory is called as a file's hash: this is longer.
        hash.update([0]);
        hash.update(sha256);
    }
    hash.update(b"directory");
    hash.finalize().into()
}

impl State {
    fn make(&mut self, name: [u8; 32], copies: &[Copy]) -> io::Result<()> {
        if self.have.contains(&name) {
            return Ok(());
        }
        for copy in copies {
            if !self.have.contains(&copy.sha256) {
                self.add(copy)?;
                self.have.insert(copy.sha256);
            }
        }
        let name_of_directory = hex::encode(name);
        self.directory_at(Path::new(&name_of_directory))?;
        for copy in copies {
            let path = Path::new(&name_of_directory).join(&copy.place);
            let above: Vec<&Path> = copy.place.ancestors().skip(1).collect();
            for directory in above.into_iter().rev() {
                self.directory_at(&Path::new(&name_of_directory).join(directory))?;
            }
            let from = hex::encode(copy.sha256);
            match linkat(
                &self.directory,
                from.as_str(),
                &self.directory,
                &path,
                AtFlags::empty(),
            ) {
                // A directory that was left when there was no more memory.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.have.insert(name);
        Ok(())
    }

    fn directory_at(&self, path: &Path) -> io::Result<()> {
        let mode = Mode::from_bits_truncate(0o755);
        match mkdirat(&self.directory, path, mode) {
            Ok(()) => {
                // Not what the process's umask makes of it.
                let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
                Ok(nix::sys::stat::fchmodat(
                    &self.directory,
                    path,
                    mode,
                    flags,
                )?)
            }
            Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn add(&self, copy: &Copy) -> io::Result<()> {
        let name = hex::encode(copy.sha256);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o555);
        let mut file = File::from(openat(&self.directory, name.as_str(), flags, mode)?);
        nix::sys::stat::fchmod(&file, mode)?;
        match &copy.bytes {
            Bytes::Here(bytes) => file.write_all(bytes),
            Bytes::Sealed(memory) => {
                let memory = File::from(memory.try_clone()?);
                let (mut piece, mut at) = (vec![0; PIECE], 0_u64);
                loop {
                    let count = memory.read_at(&mut piece, at)?;
                    if count == 0 {
                        return Ok(());
                    }
                    let read = piece.get(..count).ok_or(io::ErrorKind::InvalidData)?;
                    file.write_all(read)?;
                    at = at.saturating_add(count as u64);
                }
            }
        }
    }
}

/// Moves this thread into a mount namespace of its own.
fn own_space() -> io::Result<()> {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    Ok(())
}

/// The file system, mounted there: its directory, twice.
fn directory() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tao"), PLACE, Some("tmpfs"), flags, Some(SIZE))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = nix::fcntl::open(PLACE, flags, Mode::empty())?;
    Ok((directory.try_clone()?, directory))
}

/// Another one in its place: the memory of the old one is free when nobody uses it any more.
fn renewed() -> io::Result<(OwnedFd, OwnedFd)> {
    umount2(PLACE, MntFlags::MNT_DETACH)?;
    directory()
}

/// A mount of one directory of the file system, at no place.
fn mount_of(directory: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let mount = mount_calls::copy_at(directory.as_fd(), name)?;
    let attributes = mount_calls::READ_ONLY | mount_calls::NO_SET_USER_ID | mount_calls::NO_DEVICES;
    mount_calls::restrict_copy(mount.as_fd(), attributes)?;
    Ok(mount)
}
