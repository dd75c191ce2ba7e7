//! The last system call of a program's start.
//!
//! The standard library would use execvp(3), which gives a file that the kernel refuses
//! (ENOEXEC) to /bin/sh: something else than what was measured would run under its name.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::libc::{self, c_char};

/// What is executed.
pub(crate) struct Execution<'a> {
    file: BorrowedFd<'a>,
    /// Arguments and environment: they stay where they are for as long as this exists.
    _strings: [Vec<CString>; 2],
    /// Their addresses; zero is the end.
    arguments: Vec<usize>,
    environment: Vec<usize>,
}

impl<'a> Execution<'a> {
    /// The first of the arguments is the program's name for itself.
    pub(crate) fn new(
        file: BorrowedFd<'a>,
        arguments: impl IntoIterator<Item = String>,
        environment: impl IntoIterator<Item = String>,
    ) -> io::Result<Self> {
        let strings = |strings: &mut dyn Iterator<Item = String>| {
            strings.map(CString::new).collect::<Result<Vec<_>, _>>()
        };
        let arguments = strings(&mut arguments.into_iter())?;
        let environment = strings(&mut environment.into_iter())?;
        let addresses = |strings: &[CString]| {
            let strings = strings.iter().map(|string| string.as_ptr() as usize);
            strings.chain([0]).collect::<Vec<_>>()
        };
        Ok(Execution {
            file,
            arguments: addresses(&arguments),
            environment: addresses(&environment),
            // Moved, not copied.
            _strings: [arguments, environment],
        })
    }

    /// Executes it; returns only if that failed. One system call.
    pub(crate) fn execute(&self) -> io::Error {
        // SAFETY: a descriptor that is open, strings that end with a zero, and lists of their
        // addresses that do too.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.file.as_raw_fd(),
                c"".as_ptr(),
                self.arguments.as_ptr().cast::<*const c_char>(),
                self.environment.as_ptr().cast::<*const c_char>(),
                libc::AT_EMPTY_PATH,
            );
        }
        io::Error::last_os_error()
    }
}
