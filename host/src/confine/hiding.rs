//! In the new process: what programs must not see of the machine is covered, in their own mounts.
//! Whatever the rules for files say, and whoever a program runs as.
//!
//! * The machine's devices: in place of /dev is a directory with those that hold nothing and do
//!   nothing, terminals and shared memory of the program's own, and what the policy names. Device
//!   nodes at other places of the machine are dead.
//! * State of hosts, and administrators' sockets: see [`places`](crate::confine::places).
//! * The kernel's memory (/proc/kcore).
//!
//! Only system calls: this runs in the new process (see `clone`).
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::RawFd,
};

use nix::{
    errno::Errno,
    libc::{self, c_ulong, mode_t},
};

use crate::{
    confine::mount_calls::{NO_DEVICES, NO_SET_USER_ID, copy_raw, mount, put, restrict_all},
    policy::devices::MOST_DEVICES,
};

/// Devices that every program has.
const DEVICES: [&CStr; 6] = [
    c"/dev/null",
    c"/dev/zero",
    c"/dev/full",
    c"/dev/random",
    c"/dev/urandom",
    c"/dev/tty",
];

/// What programs find by the usual names.
const LINKS: [(&CStr, &CStr); 5] = [
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"pts/ptmx", c"/dev/ptmx"),
];

const PLAIN: c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// A device of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub path: CString,
    /// The directory below /dev that it is in.
    pub directory: Option<CString>,
}

/// What is covered besides, as it was found before the process was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// An empty directory is put over each.
    pub directories: Vec<CString>,
    /// `/dev/null` is put over each.
    pub files: Vec<CString>,
    /// Devices that programs have besides.
    pub devices: Vec<Device>,
}

/// What is missing needs no cover.
fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// Covers all of it.
pub(crate) fn hide(hidden: &Hidden) -> io::Result<()> {
    let null = devices(&hidden.devices)?;
    for directory in &hidden.directories {
        let only = Some(c"mode=0755,size=4k,nr_inodes=2");
        let flags = PLAIN | libc::MS_RDONLY;
        if_there(mount(Some(c"none"), directory, Some(c"tmpfs"), flags, only))?;
    }
    for file in &hidden.files {
        if_there(cover(null, file))?;
    }
    Ok(())
}

fn cover(null: &CStr, file: &CStr) -> io::Result<()> {
    mount(Some(null), file, None, libc::MS_BIND, None)
}

/// Covers what of a /proc programs must not read. It was mounted read-only, or is the machine's.
pub(crate) fn hide_in_proc() -> io::Result<()> {
    for file in [c"/proc/kcore", c"/proc/keys", c"/proc/timer_list"] {
        if_there(cover(c"/dev/null", file))?;
    }
    Ok(())
}

/// Puts a /dev of the program's own over the machine's: gives what holds nothing.
fn devices(more: &[Device]) -> io::Result<&'static CStr> {
    // First what the machine's /dev is needed for. The copies keep that devices work.
    const NONE: RawFd = -1;
    let mut copies = [NONE; DEVICES.len() + MOST_DEVICES];
    let named = more.iter().map(|device| device.path.as_c_str());
    for (copy, path) in copies.iter_mut().zip(DEVICES.into_iter().chain(named)) {
        match copy_raw(path) {
            Ok(number) => *copy = number,
            // Not every machine has a /dev/full, and none needs what the policy names.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    restrict_all(NO_DEVICES | NO_SET_USER_ID)?;
    let small = Some(c"mode=0755,size=64k,nr_inodes=64");
    let careful = libc::MS_NOSUID | libc::MS_NOEXEC;
    mount(Some(c"dev"), c"/dev", Some(c"tmpfs"), careful, small)?;
    for directory in more.iter().filter_map(|device| device.directory.as_deref()) {
        make_directory(directory)?;
    }
    let named = more.iter().map(|device| device.path.as_c_str());
    for (copy, path) in copies.into_iter().zip(DEVICES.into_iter().chain(named)) {
        if copy != NONE {
            make_file(path)?;
            put(copy, path)?;
            close(copy);
        }
    }
    for (target, link) in LINKS {
        // SAFETY: strings that end with a zero.
        Errno::result(unsafe { libc::symlink(target.as_ptr(), link.as_ptr()) })?;
    }
    make_directory(c"/dev/pts")?;
    let own = Some(c"newinstance,ptmxmode=0666,mode=0620");
    let terminals = mount(Some(c"devpts"), c"/dev/pts", Some(c"devpts"), careful, own);
    match terminals {
        // A kernel without any.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
        other => other?,
    }
    make_directory(c"/dev/shm")?;
    let all = Some(c"mode=1777");
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    mount(Some(c"shm"), c"/dev/shm", Some(c"tmpfs"), flags, all)?;
    let again = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    mount(None, c"/dev", None, again | careful, None)?;
    Ok(c"/dev/null")
}

fn make_directory(path: &CStr) -> io::Result<()> {
    const MODE: mode_t = 0o755;
    // SAFETY: a string that ends with a zero. Nothing but the umask changes the mode.
    match Errno::result(unsafe { libc::mkdir(path.as_ptr(), MODE) }) {
        Ok(_) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // SAFETY: as above.
    Errno::result(unsafe { libc::chmod(path.as_ptr(), MODE) })?;
    Ok(())
}

fn make_file(path: &CStr) -> io::Result<()> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: a string that ends with a zero, and a mode.
    let file = Errno::result(unsafe { libc::open(path.as_ptr(), flags, 0o444) })?;
    close(file);
    Ok(())
}

fn close(number: RawFd) {
    // SAFETY: a descriptor that was made here and is used by nobody else.
    unsafe { libc::close(number) };
}
