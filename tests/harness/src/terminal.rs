//! The user's terminal in raw mode, so that a machine's console gets every key.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// Ctrl-], which leaves the console, as in telnet.
const LEAVE: u8 = 0x1d;

/// Puts the terminal back as it was.
struct RawMode {
    before: Option<Termios>,
}

impl RawMode {
    fn enter() -> Result<Self> {
        let terminal = std::io::stdin();
        if !terminal.is_terminal() {
            return Ok(Self { before: None });
        }
        let before = tcgetattr(&terminal).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).context("cannot set the terminal")?;
        Ok(Self {
            before: Some(before),
        })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(std::io::stdin(), SetArg::TCSANOW, before)
        {
            eprintln!("cannot put the terminal back: {error}");
        }
    }
}

/// Sends what is typed to `port`. Returns when the user leaves, standard input ends, or
/// `open` reads as closed.
pub fn relay_input(port: &mut UnixStream, open: &UnixStream) -> Result<()> {
    let _raw = RawMode::enter()?;
    let mut input = std::io::stdin();
    let mut bytes = [0; 256];
    loop {
        let waiting = [input.as_fd(), open.as_fd()];
        let mut sources = waiting.map(|source| PollFd::new(source, PollFlags::POLLIN));
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error).context("cannot wait for the terminal"),
        }
        let [_, machine] = sources;
        if machine.any().unwrap_or(false) {
            return Ok(());
        }
        let count = input.read(&mut bytes).context("cannot read the terminal")?;
        let typed = bytes.get(..count).unwrap_or_default();
        if typed.is_empty() || typed.contains(&LEAVE) {
            return Ok(());
        }
        port.write_all(typed)
            .context("the machine closed its console")?;
    }
}
