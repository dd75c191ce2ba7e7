//! Why a program cannot be measured.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::measure::program::{libraries::LibraryError, script::ScriptError};

/// Why a program cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The file cannot be read, or its copy not made.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a device, ...
    #[error("{path}: not a regular file", path = .0.display())]
    NotRegular(PathBuf),
    /// A script: what runs is its interpreter.
    #[error("{path} is a script, and this host starts none: start the host with --scripts measure, or run the interpreter with it", path = .0.display())]
    Script(PathBuf),
    /// A script is to read a script.
    #[error("{path}: the interpreter of a script is a script itself, which is not supported", path = .0.display())]
    Nested(PathBuf),
    /// Who is to read the script is not clear.
    #[error("{path}: {source}", path = path.display())]
    Interpreter {
        /// The script.
        path: PathBuf,
        /// What is wrong.
        source: ScriptError,
    },
    /// Its libraries cannot be measured.
    #[error("{path}: its libraries cannot be measured: {source}", path = path.display())]
    Libraries {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        source: LibraryError,
    },
    /// Not a program for this machine.
    #[error("{path}: not an ELF program for this processor", path = .0.display())]
    NotElf(PathBuf),
    /// Loads what it is told to.
    #[error("{path}: the loader of dynamic programs: what it will load is not measured. Start the program itself", path = .0.display())]
    Loader(PathBuf),
    /// Needs dynamic libraries.
    #[error("{path}: needs dynamic libraries; this host's policy starts static programs only", path = .0.display())]
    Dynamic(PathBuf),
    /// Too large.
    #[error("{path}: the program and what is measured with it have more than {most} bytes, the most that this host's policy allows (tao host start --largest)", path = path.display())]
    TooLarge {
        /// The file with which it is too much.
        path: PathBuf,
        /// What the policy allows.
        most: u64,
    },
}

/// The system's word on the file at this path.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> MeasureError {
    move |source| MeasureError::Io {
        path: path.to_owned(),
        source,
    }
}
