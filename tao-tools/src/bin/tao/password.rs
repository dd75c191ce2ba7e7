//! Passwords: from a file, or asked for on the terminal without showing them.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, ensure};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longest password.
const LONGEST: u64 = 4096;

/// The password in `file` (`-`: standard input), without the line's end; asked for if there
/// is none.
pub fn read(file: Option<&Path>, question: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut password = Zeroizing::new(Vec::new());
    match file {
        Some(path) if path == Path::new("-") => {
            std::io::stdin().take(LONGEST).read_to_end(&mut password)
        }
        Some(path) => {
            std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut password))
        }
        None => return ask(question),
    }
    .with_context(|| file.map_or_else(String::new, |file| file.display().to_string()))?;
    while password.last().is_some_and(|last| b"\r\n".contains(last)) {
        password.pop();
    }
    ensure!(!password.is_empty(), "the password is empty");
    Ok(password)
}

fn ask(question: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .context("no terminal to ask for the password; give --password-file FILE")?;
    let before = tcgetattr(&terminal).context("the terminal")?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden).context("the terminal")?;
    let asked = write!(terminal, "{question}: ").and_then(|()| {
        let mut line = Zeroizing::new(Vec::new());
        let reader = terminal.try_clone()?;
        BufReader::new(reader.take(LONGEST)).read_until(b'\n', &mut line)?;
        Ok(line)
    });
    // Also when asking failed: the terminal must show what is typed next.
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &before).context("the terminal")?;
    writeln!(terminal).context("the terminal")?;
    let mut line = asked.context("the terminal")?;
    while line.last().is_some_and(|last| b"\r\n".contains(last)) {
        line.pop();
    }
    ensure!(!line.is_empty(), "the password is empty");
    Ok(line)
}
