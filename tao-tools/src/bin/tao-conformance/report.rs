//! Properties and whether they hold: a line each, `ok` or `FAIL`, the property in a sentence,
//! and for a failure what was found.

use std::{
    error::Error,
    fmt::{self, Display},
};

/// Whether a property holds.
pub type Verdict = Result<(), Breach>;

/// Why a property does not hold.
#[derive(Debug)]
pub enum Breach {
    /// What was found instead, in words.
    Found(String),
    /// What failed on the way there.
    Failed(Box<dyn Error + Send + Sync>),
}

impl Breach {
    /// This was found.
    pub fn found(found: impl Display) -> Self {
        Self::Found(found.to_string())
    }
}

impl Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(found) => f.write_str(found),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// It is not an `Error` itself, so that every error becomes one by `?`.
impl<E: Error + Send + Sync + 'static> From<E> for Breach {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Prints a line for each property.
#[derive(Default)]
pub struct Report {
    held: usize,
    failed: usize,
}

impl Report {
    /// Tries a property.
    pub fn check(&mut self, property: &str, attempt: impl FnOnce() -> Verdict) {
        self.note(property, attempt());
    }

    /// Takes note of a property.
    pub fn note(&mut self, property: &str, verdict: Verdict) {
        match verdict {
            Ok(()) => self.line("ok", property, ""),
            Err(breach) => self.line("FAIL", property, &breach.to_string()),
        }
    }

    fn line(&mut self, mark: &str, property: &str, found: &str) {
        if mark == "ok" {
            self.held = self.held.saturating_add(1);
        } else {
            self.failed = self.failed.saturating_add(1);
        }
        println!("{mark}\t{property}\t{}", found.replace(['\n', '\t'], " "));
    }

    /// Takes over the lines that another process printed.
    pub fn take(&mut self, output: &str) -> bool {
        let mut any = false;
        for line in output.lines() {
            let mut parts = line.split('\t');
            let (mark, property, found) = (parts.next(), parts.next(), parts.next());
            if let (Some(mark @ ("ok" | "FAIL")), Some(property), Some(found)) =
                (mark, property, found)
            {
                self.line(mark, property, found);
                any = true;
            }
        }
        any
    }

    /// How many hold, and how many do not.
    pub fn counts(&self) -> (usize, usize) {
        (self.held, self.failed)
    }
}

/// A condition, and what was found where it does not hold.
pub fn expect(holds: bool, found: impl Display) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Breach::found(found))
    }
}

/// Something that must fail, with these words.
pub fn refused<T>(result: Result<T, impl Display>, words: &str) -> Verdict {
    match result {
        Ok(_) => Err(Breach::found("it was not refused")),
        Err(error) => expect(error.to_string().contains(words), error),
    }
}
