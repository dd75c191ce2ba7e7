//! Who is asked, and that nobody else does the same meanwhile.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
};

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::{Flock, FlockArg};

use super::look::Machine;

/// Answers for each step.
pub struct Person {
    agrees_to_all: bool,
}

impl Person {
    /// # Errors
    /// Somebody has to be asked, and nobody is there.
    pub fn new(agrees_to_all: bool, json: bool) -> Result<Self> {
        ensure!(
            agrees_to_all || (!json && io::stdin().is_terminal()),
            "each step is asked for at a terminal, and standard input is not one, or --json is given: say --yes, or --dry-run"
        );
        Ok(Self { agrees_to_all })
    }

    /// Nothing but a clear yes is one.
    pub fn agrees(&self) -> Result<bool> {
        if self.agrees_to_all {
            return Ok(true);
        }
        print!("Do it? [y/N] ");
        io::stdout().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(is_yes(&answer))
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

/// Held while this run lasts. The lock goes with the program, however that ends; its file says nothing.
pub fn one_run_at_a_time(machine: &Machine<'_>) -> Result<Flock<File>> {
    let directory = machine.path("var/lib/taoboot");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join("setup.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| error)
        .with_context(|| {
            format!(
                "another `taoboot setup` is running ({}): nothing done",
                path.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn an_empty_answer_and_an_end_of_input_are_a_no() {
        assert!(is_yes("y\n") && is_yes("Yes\n"));
        for no in ["", "\n", "n\n", "yy\n", "maybe\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
