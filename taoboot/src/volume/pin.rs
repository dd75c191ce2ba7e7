//! A PIN: from a file, or typed twice at the terminal.

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
};

use agent::unlock::Pin;
use anyhow::{Context as _, Result, bail, ensure};
use zeroize::Zeroizing;

use super::passphrase::{prompt, read_bounded};

/// The PIN that is wished for with `--pin` (`asked`) or `--pin-file`; `None` without either.
pub fn wished(asked: bool, file: Option<&Path>) -> Result<Option<Pin>> {
    match (asked, file) {
        (true, Some(_)) => bail!("give only one of --pin and --pin-file"),
        (false, Some(file)) => from_file(file).map(Some),
        (true, None) => new_one("PIN").map(Some),
        (false, None) => Ok(None),
    }
}

/// The present one, typed once.
pub fn present(file: Option<&Path>) -> Result<Pin> {
    match file {
        Some(file) => from_file(file),
        None => {
            at_a_terminal("--pin-file")?;
            Ok(Pin::new(&typed("Present PIN: ")?)?)
        }
    }
}

/// A new one, typed twice.
pub fn new(file: Option<&Path>) -> Result<Pin> {
    match file {
        Some(file) => from_file(file),
        None => new_one("New PIN"),
    }
}

fn new_one(what: &str) -> Result<Pin> {
    at_a_terminal("--pin-file or --new-pin-file")?;
    let first = typed(&format!("{what}: "))?;
    // Before it is typed again.
    let pin = Pin::new(&first)?;
    let again = typed("The same again: ")?;
    ensure!(*first == *again, "the two differ: nothing was changed");
    Ok(pin)
}

/// The end of a line in the file does not belong to it.
fn from_file(file: &Path) -> Result<Pin> {
    let shown = file.display();
    let bytes = File::open(file)
        .map_err(Into::into)
        .and_then(read_bounded)
        .with_context(|| format!("cannot read the PIN file {shown}"))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Pin::new(line).with_context(|| shown.to_string())
}

fn typed(question: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut line = prompt(question)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

fn at_a_terminal(option: &str) -> Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "a PIN is asked for at a terminal, and standard input is not one: give it with {option}"
    );
    Ok(())
}
