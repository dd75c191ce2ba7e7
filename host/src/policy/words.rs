//! The policy for programs as people write it: on the command line of `tao host start`, and
//! in the section `[tao]` of a machine's measured configuration. The same words in both.

use std::path::PathBuf;

use crate::policy::{
    devices::{MOST_DEVICES, wrong_device},
    programs::{
        Environment, FileRules, Lacking, Libraries, MOST_LARGEST, Measure, ProgramPolicy, RunAs,
        Scripts,
    },
};
use tao::limits::{LimitError, Limits, parse_cpu, parse_memory};

/// The words; `None` and empty lists are the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// Why words are no policy; a sentence for a person.
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

impl PolicyWords {
    /// The policy that the words say.
    pub fn policy(&self) -> Result<ProgramPolicy, PolicyError> {
        let mut policy = ProgramPolicy {
            name_arguments: self.name_arguments.unwrap_or_default(),
            ..ProgramPolicy::default()
        };
        self.all_count()?;
        let word = |key, found: &Option<String>, expected| {
            let found = found.clone().unwrap_or_default();
            PolicyError::Word {
                key,
                found,
                expected,
            }
        };
        match self.isolation.as_deref() {
            None | Some("best") => {}
            Some("declare") => policy.lacking = Lacking::Declare,
            Some("strict") => policy.lacking = Lacking::Refuse,
            Some("none") => policy.measures.clear(),
            _ => {
                return Err(word(
                    "isolation",
                    &self.isolation,
                    "best, declare, strict or none",
                ));
            }
        }
        // Who is to have no network has none, whatever else is not taken.
        if self.network == Some(false) {
            policy.measures.push(Measure::Network);
        }
        policy.run_as = self.run_as()?;
        if policy.run_as == RunAs::Own && !policy.wants(Measure::Users) {
            policy.run_as = RunAs::Caller;
        }
        if policy.run_as != RunAs::Own {
            policy.measures.retain(|measure| *measure != Measure::Users);
        }
        policy.devices = self.devices()?;
        policy.libraries = match self.libraries.as_deref() {
            None | Some("accept") => Libraries::Unmeasured,
            Some("measure") => Libraries::Measured,
            Some("refuse") => Libraries::Refused,
            _ => {
                return Err(word(
                    "libraries",
                    &self.libraries,
                    "accept, measure or refuse",
                ));
            }
        };
        policy.scripts = match self.scripts.as_deref() {
            None | Some("refuse") => Scripts::Refused,
            Some("measure") => Scripts::Measured,
            _ => return Err(word("scripts", &self.scripts, "measure or refuse")),
        };
        policy.environment = match self.environment.as_deref() {
            None | Some("refuse") => Environment::Refused,
            Some("name") => Environment::Named,
            Some("accept") => Environment::Unnamed,
            _ => {
                return Err(word(
                    "environment",
                    &self.environment,
                    "accept, name or refuse",
                ));
            }
        };
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
            let largest = parse_memory(text).ok();
            policy.largest = largest
                .filter(|bytes| *bytes <= MOST_LARGEST)
                .ok_or_else(|| PolicyError::Largest(text.to_owned()))?;
        }
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
        Ok(policy)
    }

    /// Words that only a measure carries out, where none is taken: who writes them relies on them.
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
        let word = match self.user.as_deref() {
            None | Some("own") => return Ok(RunAs::Own),
            Some("caller") => return Ok(RunAs::Caller),
            Some(word) => word,
        };
        let (uid, gid) = word.split_once(':').unwrap_or((word, word));
        // The last number means that nothing is changed.
        let number = |text: &str| text.parse().ok().filter(|number| *number != u32::MAX);
        match (number(uid), number(gid)) {
            (Some(uid), Some(gid)) => Ok(RunAs::User { uid, gid }),
            _ => Err(PolicyError::Word {
                key: "user",
                found: word.to_owned(),
                expected: "own, caller, or the number of a user, or that and a group's (1000:100)",
            }),
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

/// What a policy says besides the measures, in the words of the configuration.
pub(crate) fn words(policy: &ProgramPolicy) -> Vec<String> {
    let libraries = match policy.libraries {
        Libraries::Unmeasured => "accept",
        Libraries::Measured => "measure",
        Libraries::Refused => "refuse",
    };
    let scripts = match policy.scripts {
        Scripts::Refused => "refuse",
        Scripts::Measured => "measure",
    };
    let environment = match policy.environment {
        Environment::Refused => "refuse",
        Environment::Named => "name",
        Environment::Unnamed => "accept",
    };
    let taken = |measure: &Measure| *measure != Measure::Network;
    let lacking = match policy.lacking {
        _ if !policy.measures.iter().any(taken) => "none",
        Lacking::Accept => "best",
        Lacking::Declare => "declare",
        Lacking::Refuse => "strict",
    };
    let user = match policy.run_as {
        RunAs::Own => "own".to_owned(),
        RunAs::Caller => "caller".to_owned(),
        RunAs::User { uid, gid } => format!("{uid}:{gid}"),
    };
    let mut words = vec![
        format!("isolation = {lacking:?}"),
        format!("name_arguments = {}", policy.name_arguments),
        format!("libraries = {libraries:?}"),
        format!("scripts = {scripts:?}"),
        format!("environment = {environment:?}"),
        format!("user = {user:?}"),
    ];
    words.push(format!("largest = \"{}\"", policy.largest));
    let limits = policy.limits;
    words.extend(limits.memory.map(|bytes| format!("memory = \"{bytes}\"")));
    words.extend(limits.processes.map(|most| format!("processes = {most}")));
    words.extend(limits.cpu.map(|share| format!("cpu = \"{share}%\"")));
    if !policy.devices.is_empty() {
        words.push(format!("devices = {:?}", policy.devices));
    }
    if let Some(files) = &policy.files {
        for (key, paths) in [("read", &files.read), ("write", &files.write)] {
            words.push(format!("{key} = {paths:?}"));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_its_policy_are_the_words_that_made_it() {
        let made = PolicyWords {
            isolation: Some("declare".to_owned()),
            libraries: Some("measure".to_owned()),
            memory: Some("1M".to_owned()),
            largest: Some("64M".to_owned()),
            cpu: Some("150%".to_owned()),
            read: vec!["/usr".into()],
            user: Some("1000:100".to_owned()),
            devices: vec!["/dev/kvm".into()],
            ..PolicyWords::default()
        };
        let said = words(&made.policy().unwrap());
        for expected in [
            "isolation = \"declare\"",
            "libraries = \"measure\"",
            "scripts = \"refuse\"",
            "memory = \"1048576\"",
            "cpu = \"150%\"",
            "read = [\"/usr\"]",
            "user = \"1000:100\"",
            "devices = [\"/dev/kvm\"]",
        ] {
            assert!(said.iter().any(|word| word == expected), "{said:?}");
        }
    }

    #[test]
    fn who_is_to_have_no_network_has_none_without_other_measures_too() {
        let words = PolicyWords {
            isolation: Some("none".to_owned()),
            network: Some(false),
            ..PolicyWords::default()
        };
        let policy = words.policy().unwrap();
        assert_eq!(policy.measures, [Measure::Network]);
        assert!(super::words(&policy).contains(&"isolation = \"none\"".to_owned()));
    }

    #[test]
    fn words_that_no_measure_would_carry_out_are_refused() {
        let text = |text: &str| Some(text.to_owned());
        let empty = PolicyWords::default;
        for (key, words) in [
            (
                "read",
                PolicyWords {
                    read: vec!["/usr".into()],
                    ..empty()
                },
            ),
            (
                "write",
                PolicyWords {
                    write: vec!["/tmp".into()],
                    ..empty()
                },
            ),
            (
                "devices",
                PolicyWords {
                    devices: vec!["/dev/kvm".into()],
                    ..empty()
                },
            ),
            (
                "memory",
                PolicyWords {
                    memory: text("1M"),
                    ..empty()
                },
            ),
            (
                "processes",
                PolicyWords {
                    processes: Some(1),
                    ..empty()
                },
            ),
            (
                "cpu",
                PolicyWords {
                    cpu: text("50%"),
                    ..empty()
                },
            ),
            (
                "user",
                PolicyWords {
                    user: text("own"),
                    ..empty()
                },
            ),
        ] {
            assert!(words.policy().is_ok(), "{key}");
            let isolation = text("none");
            let error = PolicyWords { isolation, ..words }.policy().unwrap_err();
            let sentence = error.to_string();
            assert!(
                sentence.contains(key) && sentence.contains("none"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn no_words_are_the_default_and_unknown_ones_are_refused() {
        assert_eq!(
            PolicyWords::default().policy(),
            Ok(ProgramPolicy::default())
        );
        let odd = Some("odd".to_owned());
        for words in [
            PolicyWords {
                isolation: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                libraries: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                scripts: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                environment: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                memory: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                cpu: odd.clone(),
                ..PolicyWords::default()
            },
            PolicyWords {
                largest: odd,
                ..PolicyWords::default()
            },
            PolicyWords {
                processes: Some(0),
                ..PolicyWords::default()
            },
            PolicyWords {
                user: Some("odd:0".to_owned()),
                ..PolicyWords::default()
            },
            PolicyWords {
                devices: vec!["/etc/relative".into()],
                ..PolicyWords::default()
            },
            PolicyWords {
                read: vec!["relative".into()],
                ..PolicyWords::default()
            },
        ] {
            let error = words.policy().unwrap_err().to_string();
            assert!(error.contains("odd") || error.contains("relative") || error.contains('0'));
        }
    }
}
