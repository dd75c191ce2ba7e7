//! Where text leaves a command: standard output and standard error.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::exit,
};

use crate::text::text;

/// Writes to standard output, for [`crate::print!`] and [`crate::println!`].
///
/// A reader that has gone away (`| head`) ends the command quietly, another failure with a
/// sentence: half of an output is none.
pub fn write_stdout(arguments: fmt::Arguments<'_>) {
    let written = write!(io::stdout().lock(), "{}", text(arguments));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            write_stderr(format_args!("cannot write to standard output: {error}\n"));
            exit(1)
        }
    }
}

/// Writes to standard error, for [`crate::eprint!`] and [`crate::eprintln!`].
pub fn write_stderr(arguments: fmt::Arguments<'_>) {
    // Nobody is left to tell when standard error itself fails.
    drop(write!(io::stderr().lock(), "{}", text(arguments)));
}

/// [`std::print!`] for text that may come from outside.
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => { $crate::write_stdout(::std::format_args!($($arguments)*)) };
}

/// [`std::println!`] for text that may come from outside.
#[macro_export]
macro_rules! println {
    () => { $crate::write_stdout(::std::format_args!("\n")) };
    ($($arguments:tt)*) => {
        $crate::write_stdout(::std::format_args!("{}\n", ::std::format_args!($($arguments)*)))
    };
}

/// [`std::eprint!`] for text that may come from outside.
#[macro_export]
macro_rules! eprint {
    ($($arguments:tt)*) => { $crate::write_stderr(::std::format_args!($($arguments)*)) };
}

/// [`std::eprintln!`] for text that may come from outside.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::write_stderr(::std::format_args!("\n")) };
    ($($arguments:tt)*) => {
        $crate::write_stderr(::std::format_args!("{}\n", ::std::format_args!($($arguments)*)))
    };
}
