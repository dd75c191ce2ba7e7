//! The guard of a host: where its rules come from, and asking it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use tao::{
    guard::{EXECUTE, Explanation, Guard, GuardError, GuardSource, Step, TrivialGuard, authorized},
    logic::{Pred, Prin, SubPrin},
    state_file,
};

/// Largest rules file.
const MAX_FILE: u64 = 256 << 20;

/// Why the guard did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostGuardError {
    /// The guard refused.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The rules file.
    #[error("the guard's rules {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The rules in the file.
    #[error("the guard's rules {path}: {source}", path = path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: GuardError,
    },
    /// There are no rules.
    #[error("the guard's rules {path} are missing", path = .0.display())]
    Missing(PathBuf),
}

/// Why a program may not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// By the only rule that there is.
    #[error("{0}")]
    Rule(&'static str),
    /// Without any rule.
    #[error("the host's guard has no rules, so it allows nothing")]
    NoRules,
    /// It does not follow from the rules; in a sentence.
    #[error("{0}")]
    NotProved(String),
    /// The guard cannot be asked.
    #[error(transparent)]
    Guard(#[from] HostGuardError),
}

/// Tells one version of a file from another.
type Stamp = (u64, u64, u64, i64, i64);

/// A host's guard. The rules that are asked are those in the file at that moment.
pub(crate) struct HostGuard {
    source: GuardSource,
    subprin: SubPrin,
    current: RwLock<Box<dyn Guard>>,
    /// Which file `current` was read from.
    read: Mutex<Option<Stamp>>,
}

fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some((
            file.dev(),
            file.ino(),
            file.size(),
            file.mtime(),
            file.mtime_nsec(),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl HostGuard {
    pub(crate) fn new(source: GuardSource) -> Result<Self, GuardError> {
        Ok(Self {
            subprin: source.subprincipal()?,
            current: RwLock::new(source.first()?),
            source,
            read: Mutex::default(),
        })
    }

    pub(crate) fn subprincipal(&self) -> &SubPrin {
        &self.subprin
    }

    /// Reads the file again if it is another one than before. The new rules take the place
    /// of the old ones at once and as a whole. Rules that cannot be read allow nothing.
    fn refresh(&self) -> Result<(), HostGuardError> {
        let Some(path) = self.source.path() else {
            return Ok(());
        };
        let file_error = |source| HostGuardError::File {
            path: path.to_owned(),
            source,
        };
        // Stamps and guards change together: who comes meanwhile waits for the new rules.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamp(path).map_err(file_error)?;
        if found.is_some() && found == *read {
            return Ok(());
        }
        let file = state_file::read(path, MAX_FILE).map_err(file_error)?;
        let next = match (&self.source, file) {
            (source, Some(file)) => source.parse(&file),
            // Nobody has added a rule yet.
            (source @ GuardSource::Local(_), None) => source.empty(),
            (_, None) => return Err(HostGuardError::Missing(path.to_owned())),
        };
        let next = next.map_err(|source| HostGuardError::Rules {
            path: path.to_owned(),
            source,
        })?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        *read = found;
        Ok(())
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(&dyn Guard) -> Result<T, GuardError>,
    ) -> Result<T, HostGuardError> {
        self.refresh()?;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ask(current.as_ref())?)
    }

    pub(crate) fn query(&self, query: &Pred) -> Result<bool, HostGuardError> {
        self.with(|guard| guard.query(query))
    }

    pub(crate) fn why(&self, query: &Pred) -> Result<Explanation, HostGuardError> {
        self.with(|guard| guard.why(query))
    }

    pub(crate) fn rules(&self) -> Result<Vec<String>, HostGuardError> {
        self.with(|guard| Ok(guard.rules()))
    }

    /// Might any program run on the host? If not, why not: before one is measured. An
    /// administrator whose guard has no rules yet is told what the program would be called, and
    /// for that it is measured.
    pub(crate) fn may_execute_something(&self, administrator: bool) -> Result<(), Denied> {
        let learns = administrator && self.source.path().is_some();
        match self.with(|guard| Ok(guard.allows_something())) {
            Ok(true) => Ok(()),
            Ok(false) if learns => Ok(()),
            Ok(false) if matches!(self.source, GuardSource::Conservative) => {
                Err(Denied::Rule(TrivialGuard::Conservative.rule()))
            }
            Ok(false) => Err(Denied::NoRules),
            Err(error) => Err(error.into()),
        }
    }

    /// May `principal` run on the host? If not, why not.
    pub(crate) fn may_execute(&self, principal: &Prin) -> Result<(), Denied> {
        let ask = || -> Result<Explanation, HostGuardError> {
            let query = authorized(principal, EXECUTE, &[]);
            self.why(&query)
        };
        match ask() {
            Ok(answer) if answer.allowed => Ok(()),
            Ok(answer) => Err(Denied::NotProved(reason(&answer.steps))),
            Err(error) => Err(error.into()),
        }
    }

    /// Do the guard's rules let a hosted program, by its name, do an administrator's operation?
    /// A guard without rules names nobody.
    pub(crate) fn names(&self, program: &Prin, operation: &str) -> bool {
        if matches!(
            self.source,
            GuardSource::Liberal | GuardSource::Conservative
        ) {
            return false;
        }
        let ask =
            || -> Result<bool, HostGuardError> { self.query(&authorized(program, operation, &[])) };
        ask().unwrap_or_else(|error| {
            log::warn!("{program} may not {operation}: {error}");
            false
        })
    }

    /// May the user do an administrator's operation?
    pub(crate) fn may_administer(&self, user: u32, operation: &str) -> bool {
        let ask = || -> Result<bool, HostGuardError> {
            let name: Prin = format!("user({user})").parse().map_err(GuardError::from)?;
            self.query(&authorized(&name, operation, &[]))
        };
        match ask() {
            Ok(answer) => answer,
            Err(error) => {
                log::warn!("user {user} may not {operation}: {error}");
                false
            }
        }
    }

    /// Changes the rules, in memory and in the file. Only a local guard can be changed
    /// here; rules that a policy key signs are changed by whoever has the key.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&mut dyn Guard) -> Result<(), GuardError>,
    ) -> Result<(), HostGuardError> {
        let GuardSource::Local(path) = &self.source else {
            let fixed = match self.source {
                GuardSource::Liberal | GuardSource::Conservative => {
                    "this host's guard has no rules; start it with a local guard"
                }
                _ => {
                    "this host's rules are signed by the policy key; change and sign the file (tao guard --domain)"
                }
            };
            return Err(GuardError::Fixed(fixed).into());
        };
        self.refresh()?;
        let file_error = |source| HostGuardError::File {
            path: path.clone(),
            source,
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        change(current.as_mut())?;
        // If the write fails only the file can tell what the rules are.
        *read = None;
        let unwritten = GuardError::Fixed("this guard's rules cannot be written to a file");
        let rules = current.serialized().ok_or(unwritten)?;
        state_file::replace(path, &rules).map_err(file_error)?;
        *read = stamp(path).map_err(file_error)?;
        Ok(())
    }
}

/// Facts that people add, and with what. What such a fact could follow from instead is of no help.
const ADDED: [(&str, &str); 2] = [
    ("it misses TrustedHost(", "tao domain add-host"),
    ("it misses TrustedProgramHash(", "tao domain add-program"),
];

/// Why a program may not run, in a sentence: the first missing fact that somebody could add, or
/// the last that is missing.
fn reason(steps: &[Step]) -> String {
    let sentence = |step: &Step| format!("{}: {}", step.statement, step.reason);
    let to_add = steps.iter().find_map(|step| {
        let mut added = ADDED.iter();
        let (_, with) = added.find(|(words, _)| step.reason.contains(words))?;
        Some(format!("{} (see {with}, or tao guard add)", sentence(step)))
    });
    let last = || steps.last().map(sentence);
    let nothing = || "it does not follow from the guard's rules".to_owned();
    to_add.or_else(last).unwrap_or_else(nothing)
}
