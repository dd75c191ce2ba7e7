//! The two calls that give the kernel's keyboard a keymap (linux/kd.h); `unsafe`, since the kernel reads what
//! they point to.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::{errno::Errno, libc::c_int};
use storage::keymap::Entry;

/// KDSKBMODE, and K_UNICODE.
const SET_MODE: u16 = 0x4b45;
const UNICODE: c_int = 3;
/// KDSKBENT.
const SET_ENTRY: u16 = 0x4b47;

/// `struct kbentry`.
#[repr(C)]
pub struct KeyboardEntry {
    table: u8,
    index: u8,
    value: u16,
}

nix::ioctl_write_int_bad!(set_mode, SET_MODE);
nix::ioctl_write_ptr_bad!(set_entry, SET_ENTRY, KeyboardEntry);

/// What is typed arrives as UTF-8.
pub(super) fn use_unicode(screen: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes a number and no pointer.
    unsafe { set_mode(screen.as_raw_fd(), UNICODE) }.map(drop)
}

/// One key of one table.
pub(super) fn set_key(screen: BorrowedFd<'_>, entry: Entry) -> Result<(), Errno> {
    let entry = KeyboardEntry {
        table: entry.table,
        index: entry.key,
        value: entry.value,
    };
    // SAFETY: `entry` is what the call reads, and lives as long.
    unsafe { set_entry(screen.as_raw_fd(), &raw const entry) }.map(drop)
}
