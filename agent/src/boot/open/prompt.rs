//! A passphrase from the console, without echo.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use nix::{
    libc::O_NOCTTY,
    sys::termios::{FlushArg, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

/// Longest passphrase, in bytes; the terminal's own line limit is 4095.
const LONGEST: usize = 512;

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// No console, or it is not a terminal.
    #[error("cannot ask for a passphrase: /dev/console: {0}")]
    Console(std::io::Error),
    /// The console hung up.
    #[error("the console was closed before a passphrase was typed")]
    Closed,
}

/// The console with echo off; echo comes back when it is dropped.
pub struct Prompt {
    console: File,
    before: Termios,
}

impl Prompt {
    /// Opens the console. What was typed ahead is thrown away.
    pub fn open() -> Result<Self, PromptError> {
        let console = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NOCTTY)
            .open("/dev/console")
            .map_err(PromptError::Console)?;
        let before = tcgetattr(&console).map_err(|error| PromptError::Console(error.into()))?;
        let mut quiet = before.clone();
        let echo = LocalFlags::ECHO | LocalFlags::ECHOE | LocalFlags::ECHOK;
        quiet.local_flags.remove(echo);
        // Canonical mode stays on: the terminal does backspace, ^W and ^U.
        quiet.local_flags |= LocalFlags::ICANON | LocalFlags::ECHONL;
        quiet.local_flags.remove(LocalFlags::ISIG);
        tcsetattr(&console, SetArg::TCSANOW, &quiet)
            .map_err(|error| PromptError::Console(error.into()))?;
        tcflush(&console, FlushArg::TCIFLUSH)
            .map_err(|error| PromptError::Console(error.into()))?;
        Ok(Self { console, before })
    }

    /// Shows a line of text.
    pub fn say(&mut self, text: &str) -> Result<(), PromptError> {
        self.console
            .write_all(format!("{}\r\n", printable::line(text)).as_bytes())
            .map_err(PromptError::Console)
    }

    /// Asks and reads one line.
    pub fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, PromptError> {
        self.console
            .write_all(printable::line(question).to_string().as_bytes())
            .map_err(PromptError::Console)?;
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        loop {
            let mut byte = Zeroizing::new([0_u8; 1]);
            match self
                .console
                .read(byte.as_mut_slice())
                .map_err(PromptError::Console)?
            {
                0 => return Err(PromptError::Closed),
                _ if *byte == [b'\n'] => return Ok(line),
                // Longer than any passphrase: kept out, so the buffer never moves in memory.
                _ if line.len() >= LONGEST => {}
                _ => line.extend_from_slice(byte.as_slice()),
            }
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.console, SetArg::TCSANOW, &self.before) {
            log::debug!("the console stays without echo: {error}");
        }
    }
}
