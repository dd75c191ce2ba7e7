//! Who is calling: a hosted program, under the name it has now.

use std::sync::{PoisonError, RwLock};

use crate::logic::SubPrin;

/// Longest name below the host's, in its binary form.
const MAX_NAME: usize = 16 * 1024;
/// Most extensions of a name.
const MOST_EXTENSIONS: usize = 64;

/// A hosted program.
#[derive(Debug)]
pub struct Caller {
    /// What the host measured.
    started_as: SubPrin,
    /// The same, and whatever the program has added to it since.
    now: RwLock<SubPrin>,
}

impl Caller {
    /// A program that has just been started.
    pub fn new(subprin: SubPrin) -> Self {
        Caller {
            now: RwLock::new(subprin.clone()),
            started_as: subprin,
        }
    }

    /// The program's part of its name, as the host measured it.
    pub fn started_as(&self) -> &SubPrin {
        &self.started_as
    }

    /// The program's part of its name now.
    pub fn subprin(&self) -> SubPrin {
        // The name is replaced as a whole, so a panic elsewhere leaves a whole name.
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Was the program started under that name, or has it that name now?
    pub fn is_called(&self, name: &SubPrin) -> bool {
        self.started_as == *name || self.subprin() == *name
    }

    /// Extends the name. There is no way back, for as long as the program runs.
    pub(super) fn extend(&self, more: &SubPrin) -> Result<(), String> {
        if more.0.is_empty() {
            return Err("no extension is given".to_owned());
        }
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let extended = now.extended(more);
        let length = extended.encode().len();
        if extended.0.len() > MOST_EXTENSIONS || length > MAX_NAME {
            return Err(format!(
                "the name would have {} extensions and {length} bytes; at most {MOST_EXTENSIONS} and {MAX_NAME} are possible",
                extended.0.len()
            ));
        }
        *now = extended;
        Ok(())
    }
}
