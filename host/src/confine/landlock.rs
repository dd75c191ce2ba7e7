//! Landlock: a domain of a program's own, and the files it may use in it. What the kernel
//! does not know yet is left out (landlock(7) asks for that), and told by the host: see
//! [`Confinement::Scopes`](crate::Confinement::Scopes).
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use nix::{errno::Errno, libc};

use crate::{confine::numbers::out_of_the_way, policy::programs::FileRules};

/// The first ABI with scopes (Linux 6.12).
const SCOPES_ABI: i64 = 6;

/// struct landlock_ruleset_attr as of ABI 6. Older kernels take it if what they do not know
/// is zero.
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// struct landlock_path_beneath_attr.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

const PATH_BENEATH: i32 = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 1 << 1;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEVICE: u64 = 1 << 15;
/// What can be done with something that is not a directory.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE;

/// Devices that every program may use: they hold nothing and do nothing.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// All rights over files that a kernel of this ABI knows.
const fn known(abi: i64) -> u64 {
    match abi {
        ..=1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    }
}

/// What this kernel can do: 0 for nothing.
pub(crate) fn abi() -> i64 {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<RulesetAttributes>();
    // SAFETY: with this flag no structure is read.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
    answer.max(0)
}

/// Can this kernel keep signals and abstract sockets inside the domain?
pub(crate) fn has_scopes() -> bool {
    abi() >= SCOPES_ABI
}

/// A domain, ready for a child to enter.
pub(crate) struct Domain {
    scoped: u64,
    handled: u64,
    /// What is open, and what may be done below it.
    rules: Vec<(OwnedFd, u64)>,
    /// What may be done below /proc, which is another one for each program: 0 if there are
    /// no rules for files.
    own_proc: u64,
    /// It has a /dev of its own.
    own_devices: bool,
}

impl Domain {
    /// Prepares the domain. What is in `copies` may be executed whatever the rules say,
    /// `own` are directories that are the program's.
    pub(crate) fn new(
        scopes: bool,
        files: Option<&FileRules>,
        copies: Option<&OwnedFd>,
        own: &[BorrowedFd<'_>],
    ) -> io::Result<Self> {
        let scoped = match scopes {
            true => SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
            false => 0,
        };
        let nodes = MAKE_CHAR | MAKE_BLOCK;
        let mut domain = Self {
            scoped,
            handled: nodes,
            rules: Vec::new(),
            own_proc: 0,
            own_devices: false,
        };
        let Some(files) = files else {
            return Ok(domain);
        };
        domain.handled = known(abi());
        let reading = EXECUTE | READ_FILE | READ_DIR;
        domain.own_proc = READ_FILE | READ_DIR;
        for device in DEVICES.map(Path::new).iter().filter(|path| path.exists()) {
            domain.allow(device, READ_FILE | WRITE_FILE | IOCTL_DEVICE)?;
        }
        for path in &files.read {
            domain.allow(path, reading)?;
        }
        for path in &files.write {
            domain.allow(path, !nodes)?;
        }
        if let Some(directory) = copies {
            let directory = out_of_the_way(directory.try_clone()?)?;
            domain.rules.push((directory, reading));
        }
        for directory in own {
            let directory = out_of_the_way(directory.try_clone_to_owned()?)?;
            domain.rules.push((directory, domain.handled & !nodes));
        }
        Ok(domain)
    }

    fn allow(&mut self, path: &Path, rights: u64) -> io::Result<()> {
        let named = |source: io::Error| {
            let sentence = format!(
                "{}, of the files that programs may use: {source}",
                path.display()
            );
            io::Error::new(source.kind(), sentence)
        };
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path)
            .map_err(named)?;
        let directory = file.metadata().map_err(named)?.is_dir();
        let rights = if directory { rights } else { rights & OF_FILES };
        let file = out_of_the_way(file.into())?;
        self.rules.push((file, rights & self.handled));
        Ok(())
    }

    /// The program has a /dev of its own, with these devices of the machine besides.
    pub(crate) fn with_devices(mut self, devices: &[PathBuf]) -> io::Result<Self> {
        self.own_devices = true;
        if self.own_proc != 0 {
            for device in devices.iter().filter(|path| path.exists()) {
                self.allow(device, READ_FILE | WRITE_FILE | IOCTL_DEVICE)?;
            }
        }
        Ok(self)
    }

    /// Enters the domain, for good. Only system calls: this runs in the new process (see `clone`).
    pub(crate) fn enter(&self) -> io::Result<()> {
        let attributes = RulesetAttributes {
            handled_access_fs: self.handled,
            handled_access_net: 0,
            scoped: self.scoped,
        };
        // SAFETY: the kernel reads structures whose sizes are given or known to it, and
        // gives descriptors that are used and closed here only.
        unsafe {
            let made = libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<RulesetAttributes>(),
                0,
            );
            let made = Errno::result(made)?;
            let add = |file: i32, rights: u64| {
                let rule = PathBeneath {
                    allowed_access: rights,
                    parent_fd: file,
                };
                let call = libc::SYS_landlock_add_rule;
                Errno::result(libc::syscall(call, made, PATH_BENEATH, &raw const rule, 0))
            };
            for (file, rights) in &self.rules {
                add(file.as_raw_fd(), *rights)?;
            }
            if self.own_proc != 0 {
                let flags = libc::O_PATH | libc::O_CLOEXEC;
                let proc = Errno::result(libc::open(c"/proc".as_ptr(), flags))?;
                add(proc, self.own_proc)?;
                libc::close(proc);
                // Its own shared memory and terminals, where it has a /dev of its own.
                if self.own_devices {
                    for path in [c"/dev/shm", c"/dev/pts"] {
                        let directory = Errno::result(libc::open(path.as_ptr(), flags))?;
                        add(directory, self.handled & !(MAKE_CHAR | MAKE_BLOCK))?;
                        libc::close(directory);
                    }
                }
            }
            let restricted = libc::syscall(libc::SYS_landlock_restrict_self, made, 0);
            let restricted = Errno::result(restricted);
            libc::syscall(libc::SYS_close, made);
            restricted?;
        }
        Ok(())
    }
}
