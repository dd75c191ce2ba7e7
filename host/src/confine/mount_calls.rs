//! The calls that make mounts at no place and put them somewhere (Linux 5.2 and 5.12). Each is
//! a system call or a few, and nothing else: they run in new processes too (see `clone`).
//! The mounts of the store of copies are made with them as well as those that hide what
//! a program may not see.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use nix::{errno::Errno, libc};

/// Attributes of a mount (Linux, mount.h).
pub(crate) const READ_ONLY: u64 = 1;
pub(crate) const NO_SET_USER_ID: u64 = 2;
pub(crate) const NO_DEVICES: u64 = 4;

const OPEN_TREE_CLONE: i32 = 1;
const FROM_DESCRIPTOR: u32 = 4;

/// struct mount_attr.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn open_tree(directory: RawFd, path: &CStr) -> io::Result<RawFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC;
    // SAFETY: a string that ends with a zero, and integers.
    let opened = unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) };
    RawFd::try_from(Errno::result(opened)?).map_err(|_| io::ErrorKind::Other.into())
}

/// A mount of what is at `path`, at no place yet. The descriptor is the caller's to close.
pub(crate) fn copy_raw(path: &CStr) -> io::Result<RawFd> {
    open_tree(libc::AT_FDCWD, path)
}

/// The same, closed when it is dropped.
pub(crate) fn copy(path: &CStr) -> io::Result<OwnedFd> {
    let number = copy_raw(path)?;
    // SAFETY: the kernel just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The same of what is at `path` below an open directory.
pub(crate) fn copy_at(directory: BorrowedFd<'_>, path: &CStr) -> io::Result<OwnedFd> {
    let number = open_tree(directory.as_raw_fd(), path)?;
    // SAFETY: the kernel just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Puts a mount that is at no place over what is at `place`.
pub(crate) fn put(mount: RawFd, place: &CStr) -> io::Result<()> {
    // SAFETY: strings that end with a zero, and integers.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount,
            c"".as_ptr(),
            libc::AT_FDCWD,
            place.as_ptr(),
            FROM_DESCRIPTOR,
        )
    };
    Errno::result(moved)?;
    Ok(())
}

fn restrict(directory: RawFd, path: &CStr, flags: i32, set: u64) -> io::Result<()> {
    let attributes = Attributes {
        set,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the kernel reads a structure whose size is given, and a string.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    Errno::result(set)?;
    Ok(())
}

/// Restricts a mount that is at no place yet.
pub(crate) fn restrict_copy(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    restrict(mount.as_raw_fd(), c"", libc::AT_EMPTY_PATH, set)
}

/// Restricts every mount of this mount namespace.
pub(crate) fn restrict_all(set: u64) -> io::Result<()> {
    const RECURSIVE: i32 = 0x8000;
    restrict(libc::AT_FDCWD, c"/", RECURSIVE, set)
}

/// mount(2).
pub(crate) fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: strings that end with a zero, or none.
    let mounted = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast(),
        )
    };
    Errno::result(mounted)?;
    Ok(())
}
