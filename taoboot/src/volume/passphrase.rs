//! An existing passphrase of the volume: from a file, a pipe or a person.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

/// As for cryptsetup's key files.
const MAX_LEN: u64 = 8 << 20;
const INTERRUPT: u8 = 3;

/// A passphrase as it was read.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    pub fn whole(&self) -> &[u8] {
        &self.0
    }

    pub fn without_newline(&self) -> &[u8] {
        self.0.strip_suffix(b"\n").unwrap_or(&self.0)
    }

    pub fn ends_with_newline(&self) -> bool {
        self.0.ends_with(b"\n")
    }
}

/// The files of passphrases, by whichever of the two names they were given.
pub fn one_of<'f>(ours: &'f [PathBuf], as_systemd: &'f [PathBuf]) -> Result<&'f [PathBuf]> {
    match (ours, as_systemd) {
        (files, []) | ([], files) => Ok(files),
        _ => bail!("give only one of --passphrase-file and --unlock-key-file"),
    }
}

/// A service's credential (systemd.exec(5), LoadCredential=), ours before that of systemd-cryptenroll.
fn credential() -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?);
    let names = ["taoboot.passphrase", "cryptenroll.passphrase"];
    let files = names.map(|name| directory.join(name));
    files.into_iter().find(|file| file.exists())
}

/// Reads it from `file`, else from the service's credential, else from standard input, with a prompt if that
/// is a terminal.
pub fn existing(file: Option<&Path>, volume: &Path) -> Result<Passphrase> {
    let credential = file.map_or_else(credential, |_| None);
    let bytes = match file.or(credential.as_deref()) {
        Some(path) => {
            let file = File::open(path)
                .with_context(|| format!("cannot read the passphrase file {}", path.display()))?;
            read_bounded(file)
                .with_context(|| format!("cannot read the passphrase file {}", path.display()))?
        }
        None if io::stdin().is_terminal() => {
            prompt(&format!("Existing passphrase of {}: ", volume.display()))?
        }
        None => read_bounded(io::stdin().lock())
            .context("cannot read the passphrase from standard input")?,
    };
    let passphrase = Passphrase(bytes);
    if passphrase.without_newline().is_empty() {
        bail!(
            "no passphrase was given: an existing passphrase of {} is needed, on standard input, with --passphrase-file, as the credential taoboot.passphrase, or typed at the prompt",
            volume.display()
        );
    }
    Ok(passphrase)
}

/// The password of the TPM's owner: empty without a file.
pub fn owner(file: Option<&Path>) -> Result<Passphrase> {
    let bytes = match file {
        Some(path) => File::open(path)
            .map_err(Into::into)
            .and_then(read_bounded)
            .with_context(|| format!("cannot read the password file {}", path.display()))?,
        None => Zeroizing::default(),
    };
    Ok(Passphrase(bytes))
}

pub(super) fn read_bounded(from: impl Read) -> Result<Zeroizing<Vec<u8>>> {
    // Reserved at once, so that growing leaves no copies behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    from.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        bail!("a passphrase has at most {MAX_LEN} bytes");
    }
    Ok(bytes)
}

/// Asks at the terminal without echo. Ctrl-C ends the line, so that the terminal is put back.
pub(crate) fn prompt(question: &str) -> Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    let echo = EchoOff::new(stdin.as_fd())?;
    eprint!("{question}");
    io::stderr().flush()?;
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    // Read from the descriptor itself: std's buffered stdin would keep a copy.
    let mut chunk = Zeroizing::new([0; 1]);
    while line.len() < 4096 && nix::unistd::read(stdin.as_fd(), chunk.as_mut_slice())? == 1 {
        line.extend_from_slice(chunk.as_slice());
        if matches!(*chunk, [b'\n' | INTERRUPT]) {
            break;
        }
    }
    drop(echo);
    eprintln!();
    if line.contains(&INTERRUPT) {
        bail!("interrupted; nothing was changed");
    }
    Ok(line)
}

/// Echo off until dropped.
struct EchoOff<'a> {
    terminal: std::os::fd::BorrowedFd<'a>,
    before: Termios,
}

impl<'a> EchoOff<'a> {
    fn new(terminal: std::os::fd::BorrowedFd<'a>) -> Result<Self> {
        let before = tcgetattr(terminal).context("cannot switch the terminal's echo off")?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ISIG);
        if let Some(end) = quiet
            .control_chars
            .get_mut(SpecialCharacterIndices::VEOL as usize)
        {
            *end = INTERRUPT;
        }
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)
            .context("cannot switch the terminal's echo off")?;
        Ok(EchoOff { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        if tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before).is_err() {
            eprintln!("taoboot: the terminal's echo could not be switched on again: type `reset`");
        }
    }
}
