//! Copies of libraries and scripts that programs are given in place of the files: what was
//! measured is what is loaded, whatever happens to the file meanwhile.
//!
//! The copies are in a file system in memory that is mounted in a mount name space of one
//! thread of the host and nowhere else: there is no path to them, for anybody. A program
//! gets each as a mount of its own over the file, read-only. Programs that need the same
//! library share its memory.
#![allow(unsafe_code)]

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    io::{self, Write as _},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError, mpsc},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    libc,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};

/// Most memory for copies.
const SIZE: &str = "mode=0755,size=1g";
const STACK: usize = 128 * 1024;

/// Linux, mount.h.
const OPEN_TREE_CLONE: u32 = 1;
const READ_ONLY: u64 = 1;
const NO_SET_USER_ID: u64 = 2;
const NO_DEVICES: u64 = 4;

/// struct mount_attr.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A request to the thread: the copy's name, and where the mount goes.
type Request = (CString, mpsc::Sender<io::Result<OwnedFd>>);

/// The copies.
pub(super) struct Store {
    folder: OwnedFd,
    requests: Mutex<mpsc::Sender<Request>>,
    have: Mutex<HashSet<[u8; 32]>>,
}

impl Store {
    /// Makes the file system and the thread that has it.
    pub(super) fn new() -> io::Result<Store> {
        let (requests, asked) = mpsc::channel::<Request>();
        let (ready, made) = mpsc::channel();
        std::thread::Builder::new()
            .name("tao-store".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let folder = private_folder().and_then(|folder| Ok((folder.try_clone()?, folder)));
                let folder = match folder {
                    Ok((ours, theirs)) => {
                        // Nobody waits any more if the host has ended.
                        drop(ready.send(Ok(theirs)));
                        ours
                    }
                    Err(error) => return drop(ready.send(Err(error))),
                };
                for (name, answer) in asked {
                    drop(answer.send(mount_of(&folder, &name)));
                }
            })?;
        let folder = made.recv().map_err(io::Error::other)??;
        Ok(Store {
            folder,
            requests: Mutex::new(requests),
            have: Mutex::default(),
        })
    }

    /// A mount of a copy of these bytes, ready to be put somewhere.
    pub(super) fn mount(&self, sha256: [u8; 32], bytes: &[u8]) -> io::Result<OwnedFd> {
        let name = CString::new(hex::encode(sha256)).map_err(io::Error::other)?;
        let mut have = self.have.lock().unwrap_or_else(PoisonError::into_inner);
        if !have.contains(&sha256) {
            if let Err(error) = self.add(&name, bytes) {
                if error.raw_os_error() != Some(libc::ENOSPC) {
                    return Err(error);
                }
                // What runs keeps what it has.
                self.forget(&mut have);
                self.add(&name, bytes)?;
            }
            have.insert(sha256);
        }
        let (answer, answered) = mpsc::channel();
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send((name, answer))
            .map_err(io::Error::other)?;
        answered.recv().map_err(io::Error::other)?
    }

    fn add(&self, name: &CString, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o555);
        let mut file = File::from(openat(&self.folder, name.as_c_str(), flags, mode)?);
        // Not what the process's umask makes of it.
        nix::sys::stat::fchmod(&file, mode)?;
        file.write_all(bytes).inspect_err(|_| {
            // A part of a copy must not stay under the name of the whole.
            if let Err(error) = unlinkat(&self.folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir)
            {
                log::error!("a copy of a library that is not whole is left: {error}");
            }
        })
    }

    fn forget(&self, have: &mut HashSet<[u8; 32]>) {
        for sha256 in have.drain() {
            let name = hex::encode(sha256);
            if let Err(error) = unlinkat(&self.folder, name.as_str(), UnlinkatFlags::NoRemoveDir) {
                log::warn!("a copy of a library: {error}");
            }
        }
    }
}

/// Moves this thread into a mount name space of its own and mounts the file system there.
fn private_folder() -> io::Result<OwnedFd> {
    // Over something that is there; this thread looks for nothing by a path any more.
    const PLACE: &str = "/proc";
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tao"), PLACE, Some("tmpfs"), flags, Some(SIZE))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(PLACE, flags, Mode::empty())?)
}

/// A mount of one file of the folder, at no place yet.
fn mount_of(folder: &OwnedFd, name: &CString) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC.cast_unsigned();
    // SAFETY: a string that ends with a zero, and integers; the descriptor is new.
    let mount = unsafe {
        let opened = libc::syscall(
            libc::SYS_open_tree,
            folder.as_raw_fd(),
            name.as_ptr(),
            flags,
        );
        let number = RawFd::try_from(Errno::result(opened)?).map_err(io::Error::other)?;
        OwnedFd::from_raw_fd(number)
    };
    let attributes = MountAttributes {
        set: READ_ONLY | NO_SET_USER_ID | NO_DEVICES,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the kernel reads a structure whose size is given, and an empty string.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    Errno::result(set)?;
    Ok(mount)
}
