//! The last system call of a program's start.
//!
//! The standard library would use execvp(3), which gives a file that the kernel refuses
//! (ENOEXEC) to /bin/sh: something else than what was measured would run under its name.
#![allow(unsafe_code)]

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    process::Command,
};

use nix::libc::{self, c_char};

/// What is executed.
pub(super) struct Execution {
    path: CString,
    /// Arguments and environment: they stay where they are for as long as this exists.
    _strings: [Vec<CString>; 2],
    /// Their addresses; zero is the end.
    arguments: Vec<usize>,
    environment: Vec<usize>,
}

impl Execution {
    /// The same that the command would execute; `name` is its argv[0], which it does not tell.
    pub(super) fn of(command: &Command, name: &str) -> io::Result<Self> {
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
        let named = [OsStr::new(name)].into_iter().chain(command.get_args());
        let arguments: Vec<CString> = named
            .map(|argument| string(argument.as_bytes().to_vec()))
            .collect::<Result<_, _>>()?;
        let variables = command.get_envs().filter_map(|(name, value)| {
            let mut variable: OsString = name.to_owned();
            variable.push("=");
            variable.push(value?);
            Some(string(variable.into_vec()))
        });
        let environment: Vec<CString> = variables.collect::<Result<_, _>>()?;
        let addresses = |strings: &[CString]| {
            let strings = strings.iter().map(|string| string.as_ptr() as usize);
            strings.chain([0]).collect::<Vec<_>>()
        };
        Ok(Execution {
            path: string(command.get_program().as_bytes().to_vec())?,
            arguments: addresses(&arguments),
            environment: addresses(&environment),
            // Moved, not copied.
            _strings: [arguments, environment],
        })
    }

    /// Executes it; returns only if that failed. Between fork and exec.
    pub(super) fn execute(&self) -> io::Error {
        // SAFETY: strings that end with a zero, and lists of their addresses that do too.
        unsafe {
            libc::execve(
                self.path.as_ptr(),
                self.arguments.as_ptr().cast::<*const c_char>(),
                self.environment.as_ptr().cast::<*const c_char>(),
            );
        }
        io::Error::last_os_error()
    }
}
