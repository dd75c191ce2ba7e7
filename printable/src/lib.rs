//! Text from outside, made safe for terminals, consoles and logs.
//!
//! LUKS headers, TPM responses, event logs, grub.cfg and names of files hold whatever somebody
//! wrote there. Shown as it is, such text moves the cursor, clears the screen and draws a prompt of
//! its own (the kind of CVE-2003-0063 and of "Trojan Source", CVE-2021-42574). So no character leaves
//! for a person's eyes but those that print: everything else is written as `\u001b`, which is also
//! what JSON means by that character, so that JSON stays JSON.
//!
//! [`line()`] is for what must stay on one line: a message, a record of the kernel log, a question.
//! [`text()`] keeps line breaks and tabs. The macros [`print!`], [`println!`], [`eprint!`] and
//! [`eprintln!`] are those of the standard library with [`text()`] in between; a crate that begins with
//! `#[macro_use] extern crate printable;` has no others.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod output;
mod text;

pub use output::{write_stderr, write_stdout};
pub use text::{is_printable, line, text};
