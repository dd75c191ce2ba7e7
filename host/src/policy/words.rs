//! The policy for programs as people write it: on the command line of `tao host start`, and
//! in the section `[tao]` of a machine's measured configuration. The same words in both.

use std::path::PathBuf;

use serde::{
    Serialize,
    de::{Error as _, MapAccess},
};

use crate::policy::{
    devices::{MOST_DEVICES, wrong_device},
    programs::{
        Confinement, Environment, FileRules, Lacking, Libraries, MOST_LARGEST, ProgramPolicy,
        RunAs, Scripts,
    },
};
use tao::limits::{LimitError, Limits, parse_cpu, parse_memory};

/// The words; `None` and empty lists are the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyWords {
    /// `best`, `declare`, `strict` or `none`.
    pub isolation: Option<String>,
    /// Programs have a network.
    pub network: Option<bool>,
    /// Arguments are part of the name.
    pub name_arguments: Option<bool>,
    /// `accept`, `measure` or `refuse`.
    pub libraries: Option<String>,
    /// `measure` or `refuse`.
    pub scripts: Option<String>,
    /// `accept`, `name` or `refuse`.
    pub environment: Option<String>,
    /// Such as `512M`.
    pub memory: Option<String>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Such as `150%`.
    pub cpu: Option<String>,
    /// The most that is measured for one program, such as `256M`.
    pub largest: Option<String>,
    /// Files that may be read; with `write`, no others may be used.
    pub read: Vec<PathBuf>,
    /// Files that may be changed.
    pub write: Vec<PathBuf>,
    /// `own`, `caller`, or a user's number, or that and a group's: `1000:100`.
    pub user: Option<String>,
    /// Devices that programs may use, such as `/dev/kvm`.
    pub devices: Vec<PathBuf>,
}

/// Why words are not a policy; a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Another word.
    #[error("{key}: {found:?}, expected {expected}")]
    Word {
        /// What it is for.
        key: &'static str,
        /// The word.
        found: String,
        /// The words that there are.
        expected: &'static str,
    },
    /// A limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// No device.
    #[error("devices: {path} {why}", path = path.display())]
    Device {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// Too many.
    #[error("devices: {0} at most")]
    Devices(usize),
    /// No size, or more than can be measured.
    #[error("largest: {0:?}, expected bytes, or a number with K, M or G, from 64K to 1G")]
    Largest(String),
    /// Without what it needs it would do nothing.
    #[error("{key} does nothing with {with}: {why}")]
    Idle {
        /// What would do nothing.
        key: &'static str,
        /// With what.
        with: &'static str,
        /// What happens instead.
        why: &'static str,
    },
    /// Not from the root.
    #[error("{key}: {path} is not an absolute path", path = path.display())]
    Relative {
        /// What it is for.
        key: &'static str,
        /// The path.
        path: PathBuf,
    },
}

fn word(key: &'static str, found: &str, expected: &'static str) -> PolicyError {
    PolicyError::Word {
        key,
        found: found.to_owned(),
        expected,
    }
}

impl PolicyWords {
    /// The words' keys in a configuration.
    pub const KEYS: [&'static str; 14] = [
        "isolation",
        "network",
        "name_arguments",
        "libraries",
        "scripts",
        "environment",
        "memory",
        "processes",
        "cpu",
        "largest",
        "read",
        "write",
        "user",
        "devices",
    ];

    /// Reads the value of `key` from a section that has keys of its own besides these. (serde's
    /// `flatten` would do the same, but its errors name neither line nor key.)
    ///
    /// # Errors
    ///
    /// If the value is of another type, or the key is not one of [`Self::KEYS`].
    pub fn read_value<'de, M: MapAccess<'de>>(
        &mut self,
        key: &str,
        section: &mut M,
    ) -> Result<(), M::Error> {
        match key {
            "isolation" => self.isolation = section.next_value()?,
            "network" => self.network = section.next_value()?,
            "name_arguments" => self.name_arguments = section.next_value()?,
            "libraries" => self.libraries = section.next_value()?,
            "scripts" => self.scripts = section.next_value()?,
            "environment" => self.environment = section.next_value()?,
            "memory" => self.memory = section.next_value()?,
            "processes" => self.processes = section.next_value()?,
            "cpu" => self.cpu = section.next_value()?,
            "largest" => self.largest = section.next_value()?,
            "read" => self.read = section.next_value()?,
            "write" => self.write = section.next_value()?,
            "user" => self.user = section.next_value()?,
            "devices" => self.devices = section.next_value()?,
            unknown => return Err(M::Error::unknown_field(unknown, &Self::KEYS)),
        }
        Ok(())
    }

    /// The policy that the words say.
    ///
    /// # Errors
    ///
    /// If a word is unknown, or would do nothing.
    pub fn policy(&self) -> Result<ProgramPolicy, PolicyError> {
        let mut policy = ProgramPolicy {
            name_arguments: self.name_arguments.unwrap_or(false),
            ..ProgramPolicy::default()
        };
        self.all_count()?;
        match self.isolation.as_deref() {
            None | Some("best") => {}
            Some("declare") => policy.lacking = Lacking::Declare,
            Some("strict") => policy.lacking = Lacking::Refuse,
            Some("none") => policy.confinements.clear(),
            Some(found) => return Err(word("isolation", found, "best, declare, strict or none")),
        }
        // Who is to have no network has none, whatever else is not taken.
        if self.network == Some(false) {
            policy.confinements.push(Confinement::Network);
        }
        policy.run_as = self.run_as()?;
        if policy.run_as == RunAs::Own && !policy.wants(Confinement::Users) {
            policy.run_as = RunAs::Caller;
        }
        if policy.run_as != RunAs::Own {
            policy
                .confinements
                .retain(|confinement| *confinement != Confinement::Users);
        }
        policy.devices = self.devices()?;
        policy.libraries = match self.libraries.as_deref() {
            None | Some("accept") => Libraries::Unmeasured,
            Some("measure") => Libraries::Measured,
            Some("refuse") => Libraries::Refused,
            Some(found) => return Err(word("libraries", found, "accept, measure or refuse")),
        };
        policy.scripts = match self.scripts.as_deref() {
            None | Some("refuse") => Scripts::Refused,
            Some("measure") => Scripts::Measured,
            Some(found) => return Err(word("scripts", found, "measure or refuse")),
        };
        policy.environment = match self.environment.as_deref() {
            None | Some("refuse") => Environment::Refused,
            Some("name") => Environment::Named,
            Some("accept") => Environment::Unnamed,
            Some(found) => return Err(word("environment", found, "accept, name or refuse")),
        };
        self.limits(&mut policy)?;
        self.files(&mut policy)?;
        Ok(policy)
    }

    fn limits(&self, policy: &mut ProgramPolicy) -> Result<(), PolicyError> {
        let usual = policy.limits;
        let memory = self.memory.as_deref().map(parse_memory).transpose()?;
        policy.limits = Limits {
            memory: memory.or(usual.memory),
            processes: self.processes.or(usual.processes),
            cpu: self.cpu.as_deref().map(parse_cpu).transpose()?,
        };
        if policy.limits.processes == Some(0) {
            return Err(LimitError::NoProcess.into());
        }
        if let Some(text) = self.largest.as_deref() {
            // A wrong amount and one that is too large have the same sentence, below.
            let largest = parse_memory(text).ok();
            policy.largest = largest
                .filter(|bytes| *bytes <= MOST_LARGEST)
                .ok_or_else(|| PolicyError::Largest(text.to_owned()))?;
        }
        Ok(())
    }

    fn files(&self, policy: &mut ProgramPolicy) -> Result<(), PolicyError> {
        for (key, paths) in [("read", &self.read), ("write", &self.write)] {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                let path = path.clone();
                return Err(PolicyError::Relative { key, path });
            }
        }
        if !self.read.is_empty() || !self.write.is_empty() {
            policy.files = Some(FileRules {
                read: self.read.clone(),
                write: self.write.clone(),
            });
        }
        Ok(())
    }

    /// Words that only a confinement carries out, where there is none: who writes them relies on them.
    fn all_count(&self) -> Result<(), PolicyError> {
        if self.isolation.as_deref() != Some("none") {
            return Ok(());
        }
        let limits = self.memory.is_some() || self.processes.is_some() || self.cpu.is_some();
        let own = self.user.as_deref() == Some("own");
        for (key, given, why) in [
            ("read", !self.read.is_empty(), "programs may use all files"),
            (
                "write",
                !self.write.is_empty(),
                "programs may use all files",
            ),
            ("devices", !self.devices.is_empty(), "no device is hidden"),
            ("memory, processes or cpu", limits, "nothing is limited"),
            ("user = \"own\"", own, "programs run as their caller"),
        ] {
            if given {
                return Err(PolicyError::Idle {
                    key,
                    with: "isolation = \"none\"",
                    why,
                });
            }
        }
        Ok(())
    }

    fn run_as(&self) -> Result<RunAs, PolicyError> {
        let who = match self.user.as_deref() {
            None | Some("own") => return Ok(RunAs::Own),
            Some("caller") => return Ok(RunAs::Caller),
            Some(who) => who,
        };
        let (uid, gid) = who.split_once(':').unwrap_or((who, who));
        // The last number means that nothing is changed.
        let number = |text: &str| text.parse().ok().filter(|number| *number != u32::MAX);
        match (number(uid), number(gid)) {
            (Some(uid), Some(gid)) => Ok(RunAs::User { uid, gid }),
            _ => {
                let expected = "own, caller, UID, or UID:GID such as 1000:100";
                Err(word("user", who, expected))
            }
        }
    }

    fn devices(&self) -> Result<Vec<PathBuf>, PolicyError> {
        for path in &self.devices {
            if let Some(why) = wrong_device(path) {
                let path = path.clone();
                return Err(PolicyError::Device { path, why });
            }
        }
        if self.devices.len() > MOST_DEVICES {
            return Err(PolicyError::Devices(MOST_DEVICES));
        }
        Ok(self.devices.clone())
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
