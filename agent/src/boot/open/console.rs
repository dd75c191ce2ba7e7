//! One console: a terminal with echo off, and what has been typed there so far.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    libc::{O_NOCTTY, O_NONBLOCK},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::termios::{
        FlushArg, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflush,
        tcgetattr, tcsetattr,
    },
};
use zeroize::Zeroizing;

/// Longest passphrase, in bytes; the terminal's own line limit is 4095.
pub(super) const LONGEST: usize = 512;

const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;

/// In UTF-8, and for a single stray byte of it as well as can be told.
const fn begins_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// One of them, with what has been typed there so far.
pub(super) struct Console {
    path: PathBuf,
    pub(super) terminal: File,
    /// `None`: the terminal stays without echo.
    pub(super) before: Option<Termios>,
    line: Zeroizing<Vec<u8>>,
    /// A star is shown for each character: then this takes back what was typed, and not the terminal.
    stars: bool,
}

impl Console {
    pub(super) fn open(path: &Path, stars: bool) -> io::Result<Self> {
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NOCTTY | O_NONBLOCK)
            .open(path)?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        let echo = LocalFlags::ECHO | LocalFlags::ECHOE | LocalFlags::ECHOK;
        quiet.local_flags.remove(echo);
        // Canonical mode stays on: the terminal does backspace, ^W and ^U. A letter beyond ASCII goes as a
        // whole.
        quiet.local_flags |= LocalFlags::ICANON | LocalFlags::IEXTEN | LocalFlags::ECHONL;
        quiet.input_flags |= InputFlags::IUTF8 | InputFlags::ICRNL;
        if stars {
            // Each character at once.
            quiet.local_flags.remove(LocalFlags::ICANON);
            for (place, value) in [
                (SpecialCharacterIndices::VMIN, 1),
                (SpecialCharacterIndices::VTIME, 0),
            ] {
                if let Some(character) = quiet.control_chars.get_mut(place as usize) {
                    *character = value;
                }
            }
        }
        quiet.local_flags.remove(LocalFlags::ISIG);
        tcsetattr(&terminal, SetArg::TCSANOW, &quiet)?;
        tcflush(&terminal, FlushArg::TCIFLUSH)?;
        Ok(Self {
            path: path.to_owned(),
            terminal,
            before: Some(before),
            // The buffer never moves in memory.
            line: Zeroizing::new(Vec::with_capacity(LONGEST)),
            stars,
        })
    }

    /// What there is to read; a line once it is whole.
    pub(super) fn read(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        loop {
            let mut byte = Zeroizing::new([0_u8; 1]);
            match self.terminal.read(byte.as_mut_slice()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if *byte == [b'\n'] => {
                    if self.stars {
                        self.show(b"\r\n");
                    }
                    let empty = Zeroizing::new(Vec::with_capacity(LONGEST));
                    return Ok(Some(std::mem::replace(&mut self.line, empty)));
                }
                Ok(_) if self.stars && self.takes_back(u8::from_le_bytes(*byte)) => {}
                // Longer than any passphrase: kept out.
                Ok(_) if self.line.len() >= LONGEST => {}
                Ok(_) => {
                    self.line.extend_from_slice(byte.as_slice());
                    if self.stars && begins_character(u8::from_le_bytes(*byte)) {
                        self.show(b"*");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The keys that take back a character, a word or the line, as the terminal's own do; end of file means
    /// nothing here.
    fn takes_back(&mut self, byte: u8) -> bool {
        match byte {
            0x7f | 0x08 => {
                self.take_back_character();
            }
            CTRL_U => while self.take_back_character() {},
            CTRL_W => {
                while self.line.last() == Some(&b' ') {
                    self.take_back_character();
                }
                while self.line.last().is_some_and(|last| *last != b' ') {
                    self.take_back_character();
                }
            }
            CTRL_D => {}
            _ => return false,
        }
        true
    }

    /// With its star; false where there is none.
    fn take_back_character(&mut self) -> bool {
        let Some(at) = self.line.iter().rposition(|byte| begins_character(*byte)) else {
            self.line.clear();
            return false;
        };
        self.line.truncate(at);
        self.show(b"\x08 \x08");
        true
    }

    /// A star that cannot be shown is none: what is typed counts all the same.
    fn show(&mut self, bytes: &[u8]) {
        drop(self.terminal.write(bytes));
    }

    pub(super) fn forget(&mut self) {
        self.line = Zeroizing::new(Vec::with_capacity(LONGEST));
        if let Err(error) = tcflush(&self.terminal, FlushArg::TCIFLUSH) {
            log::debug!("{}: {error}", self.path.display());
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // What was typed and not read is thrown away.
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, before)
        {
            log::debug!("{} stays without echo: {error}", self.path.display());
        }
    }
}

/// The terminal does not block, so that a screen that stands still cannot keep the others waiting for
/// ever: it has a second for each line.
pub(super) fn write_all(terminal: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match terminal.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or(&[]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut polled = [PollFd::new(terminal.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut polled, PollTimeout::from(1000_u16))? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The terminals of the consoles in use. `tty0` is whichever screen is in front.
pub(super) fn nodes(active: &str) -> Vec<PathBuf> {
    let named: Vec<PathBuf> = active
        .split_ascii_whitespace()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map(|name| Path::new("/dev").join(name))
        .collect();
    if named.is_empty() {
        vec!["/dev/console".into()]
    } else {
        named
    }
}
