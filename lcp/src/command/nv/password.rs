//! The owner's password: from a file, standard input or the terminal, never from the command line,
//! where everybody could read it in the list of processes.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};
use lcp::nv::{Owner, OwnerState};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use zeroize::Zeroizing;

/// Longest password, in bytes.
const MAX_LEN: usize = 256;

/// Where the owner's password comes from, as the command line says.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The secret that everybody knows.
    WellKnown,
    /// A file; `-` is standard input.
    File(&'a Path),
    /// The terminal, if one is needed at all.
    Prompt,
}

impl<'a> Source<'a> {
    /// Of --owner-password-file and --owner-well-known.
    pub fn of(file: Option<&'a Path>, well_known: bool) -> Result<Self> {
        match (file, well_known) {
            (None, false) => Ok(Source::Prompt),
            (None, true) => Ok(Source::WellKnown),
            (Some(path), false) => Ok(Source::File(path)),
            (Some(_), true) => {
                bail!("--owner-password-file or --owner-well-known, not both")
            }
        }
    }

    /// The owner's secret for a TPM with such an owner.
    pub fn owner(self, state: &OwnerState) -> Result<Owner> {
        match self {
            Source::WellKnown => Ok(Owner::well_known()),
            Source::File(path) => {
                let password = from_file(path)?;
                if *state == OwnerState::NoPassword && !password.is_empty() {
                    bail!(
                        "the owner of this TPM has no password: leave --owner-password-file away, \
                         or set that password first (tpm2_changeauth -c owner)"
                    );
                }
                Ok(Owner::password(password))
            }
            Source::Prompt if *state == OwnerState::NoPassword => Ok(Owner::well_known()),
            Source::Prompt => prompt(),
        }
    }
}

/// The password in a file; `-` is standard input.
pub fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        return first_line(&mut io::stdin().lock()).context("standard input");
    }
    let shown = || path.display().to_string();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", shown()))?;
    first_line(&mut file).with_context(shown)
}

/// The first line, without its end. More than one line is refused: it is not a password file.
fn first_line(from: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>> {
    // Its room is reserved: growing would leave copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(vec![0; MAX_LEN + 2]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match from.read(room) {
            Ok(0) => break,
            Ok(count) => length = length.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read the owner's password"),
        }
    }
    bytes.truncate(length);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > MAX_LEN {
        bail!("the owner's password is longer than {MAX_LEN} bytes");
    }
    if bytes.contains(&b'\n') {
        bail!("the owner's password must be the only line");
    }
    Ok(bytes)
}

fn prompt() -> Result<Owner> {
    const NEEDED: &str = "the owner's password is needed, and there is no terminal to ask at: give \
                          it with --owner-password-file FILE (- is standard input)";
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .context(NEEDED)?;
    if !terminal.is_terminal() {
        bail!(NEEDED);
    }
    // Silent before it is asked: whoever types at once must not see it either.
    let silent = Silent::new(terminal.try_clone()?)?;
    terminal.write_all(b"owner's password of the TPM: ")?;
    let line = typed(&mut terminal);
    drop(silent);
    terminal.write_all(b"\n")?;
    Ok(Owner::password(line?))
}

/// What is typed up to the end of the line; Ctrl-C and Ctrl-D give up.
fn typed(terminal: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LEN));
    loop {
        let mut key = [0];
        match (terminal.read(&mut key)?, key) {
            (0, _) | (_, [3 | 4]) => bail!("no password was given"),
            (_, [b'\n' | b'\r']) => return Ok(line),
            (_, [8 | 0x7f]) => {
                line.pop();
            }
            _ if line.len() == MAX_LEN => {
                bail!("the owner's password is longer than {MAX_LEN} bytes")
            }
            (_, [other]) => line.push(other),
        }
    }
}

/// A terminal that shows nothing of what is typed, and does not end the program on Ctrl-C, so that
/// it is always made to show again.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn new(terminal: File) -> Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ISIG | LocalFlags::ICANON);
        termios::tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Err(error) = termios::tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before) {
            eprintln!("lcp: the terminal may hide what you type ({error}): run reset");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Vec<u8>> {
        first_line(&mut bytes).map(|line| line.to_vec())
    }

    #[test]
    fn one_line_is_a_password() {
        assert_eq!(read(b"secret\n").unwrap(), b"secret");
        assert_eq!(read(b"secret").unwrap(), b"secret");
        assert_eq!(read(b" a b \n").unwrap(), b" a b ");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&[b'x'; MAX_LEN]).unwrap().len(), MAX_LEN);
        assert!(read(b"secret\nmore\n").is_err());
        assert!(read(&[b'x'; MAX_LEN + 1]).is_err());
        assert!(read(&[b'x'; 100_000]).is_err());
    }

    #[test]
    fn keys_are_taken_back_and_given_up() {
        let keys = |mut bytes: &[u8]| typed(&mut bytes).map(|line| line.to_vec());
        assert_eq!(keys(b"ab\x7fc\r").unwrap(), b"ac");
        assert!(keys(b"ab\x03\n").is_err());
        assert!(keys(b"ab").is_err());
    }
}
