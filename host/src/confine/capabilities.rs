//! Programs have no capabilities, and cannot be given any: without anything in the bounding set
//! exec gives even root's programs nothing.
#![allow(unsafe_code)]

use std::{cell::Cell, io};

use nix::{errno::Errno, libc};

thread_local! {
    static NOTHING_TO_GIVE: Cell<bool> = const { Cell::new(false) };
}

/// This thread, and with it the processes that it makes from now on, cannot get any
/// capabilities by exec; those that it has it keeps. This is done once per thread, and not in
/// each new process: it takes as many system calls as there are capabilities.
pub(crate) fn nothing_to_give() -> io::Result<()> {
    if !NOTHING_TO_GIVE.get() {
        empty_bounding_set()?;
        NOTHING_TO_GIVE.set(true);
    }
    Ok(())
}

/// In a new process of a thread that has [`nothing_to_give`]. Only a system call.
pub(crate) fn inherit_nothing() -> io::Result<()> {
    // SAFETY: integers only. Ambient capabilities would survive exec.
    let cleared = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    Errno::result(cleared)?;
    Ok(())
}

/// Both in this process. Only system calls.
pub(crate) fn drop_all() -> io::Result<()> {
    empty_bounding_set()?;
    inherit_nothing()
}

fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: integers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // Beyond the kernel's last one.
            Err(Errno::EINVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
