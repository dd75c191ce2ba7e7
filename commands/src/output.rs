//! Printing to a reader that may have gone.
//!
//! Rust ignores SIGPIPE, and its `println!` then panics at the next write: `tboot-policy log show
//! | head` ended so. To die of the signal instead is no way out for commands that change something:
//! `taoboot reseal | head` would stop between two records, and a TPM's or agent's socket that closes
//! raises the same signal. So the command goes on, what nobody reads is dropped, and its exit code
//! is that of its work. Output that is lost in another way (a full disk) is said, and an error.
//!
//! A binary writes `#[macro_use] extern crate commands;`, so that its `println!`, `print!`,
//! `eprintln!` and `eprint!` are these, and ends with [`finish`].

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicU8, Ordering},
};

const OPEN: u8 = 0;
const READER_GONE: u8 = 1;
const LOST: u8 = 2;

/// What has become of standard output.
static STATE: AtomicU8 = AtomicU8::new(OPEN);

/// Prints to standard output.
pub fn print(arguments: fmt::Arguments<'_>) {
    if STATE.load(Ordering::Relaxed) == OPEN {
        // Text from outside must not steer the terminal.
        note(write!(
            io::stdout().lock(),
            "{}",
            printable::text(arguments)
        ));
    }
}

/// Prints to standard output, with a line's end.
pub fn print_line(arguments: fmt::Arguments<'_>) {
    print(format_args!("{arguments}\n"));
}

/// Prints to standard error. Where that fails there is nobody to tell.
pub fn print_error(arguments: fmt::Arguments<'_>) {
    drop(write!(
        io::stderr().lock(),
        "{}",
        printable::text(arguments)
    ));
}

fn note(written: io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        STATE.store(READER_GONE, Ordering::Relaxed);
        return;
    }
    STATE.store(LOST, Ordering::Relaxed);
    print_error(format_args!(
        "standard output cannot be written, the rest of it is lost: {error}\n"
    ));
}

/// Hands over what is printed so far.
pub fn flush() {
    if STATE.load(Ordering::Relaxed) == OPEN {
        note(io::stdout().lock().flush());
    }
}

/// The exit code of a command that has done its work: a failure where its output is lost.
#[must_use]
pub fn finish(code: ExitCode) -> ExitCode {
    flush();
    match STATE.load(Ordering::Relaxed) {
        LOST => ExitCode::FAILURE,
        _ => code,
    }
}

/// `println!` to a reader that may have gone.
#[macro_export]
macro_rules! println {
    () => { $crate::output::print(::core::format_args!("\n")) };
    ($($argument:tt)*) => { $crate::output::print_line(::core::format_args!($($argument)*)) };
}

/// `print!` to a reader that may have gone.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::output::print(::core::format_args!($($argument)*)) };
}

/// `eprintln!` to a reader that may have gone.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::output::print_error(::core::format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::output::print_error(::core::format_args!(
            "{}\n",
            ::core::format_args!($($argument)*)
        ))
    };
}

/// `eprint!` to a reader that may have gone.
#[macro_export]
macro_rules! eprint {
    ($($argument:tt)*) => { $crate::output::print_error(::core::format_args!($($argument)*)) };
}
