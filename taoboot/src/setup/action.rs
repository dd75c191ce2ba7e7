//! What a step does, as a list that is printed before it is carried out: `--dry-run` prints the very list.

use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agent::unlock::enrolment::{Kind, WipeRequest, holdings, wipe, wipe_kinds};
use agent::unlock::{CheckedHeader, find_enrolled, find_further};
use anyhow::{Context as _, Result, ensure};
use tao::state_file;

use super::running_launch::RunningLaunch;
use crate::{
    enroll::{
        Enroll,
        output::{RecoveryKeyWish, make_recovery_key},
    },
    pins::{self, Wish},
    volume::several,
};

/// One thing that is written, removed or run.
pub enum Action {
    Write {
        path: PathBuf,
        content: String,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Run(Program),
    /// Of the volume; the key goes to the file, or is printed.
    RecoveryKey {
        volume: PathBuf,
        passphrase_files: Vec<PathBuf>,
        file: Option<PathBuf>,
    },
    /// Refuses unless the launch that runs is one of what is known here, and approves that one.
    Enrol {
        launch: RunningLaunch,
        words: String,
        enroll: Box<Enroll>,
    },
    WritePins {
        config: PathBuf,
        volume: PathBuf,
        srk: tpm::Name,
        secret: String,
    },
    WipeRecords {
        volume: PathBuf,
    },
    WipeRecoveryKeys {
        volume: PathBuf,
    },
}

/// A program that is run, with what its environment has beside this one's.
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl Action {
    pub fn run(path: impl Into<PathBuf>, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Self {
        Self::Run(Program {
            path: path.into(),
            arguments: arguments
                .iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
            environment: Vec::new(),
        })
    }

    /// Carries it out. `quiet`: standard output belongs to the caller's JSON.
    ///
    /// # Errors
    /// It failed; what it had changed until then is said by the error.
    pub fn perform(self, quiet: bool) -> Result<()> {
        match self {
            Self::Write { path, content } => {
                state_file::replace_with_mode(&path, content.as_bytes(), 0o644)
                    .with_context(|| format!("{} cannot be written", path.display()))
            }
            Self::Rename { from, to } => {
                ensure!(
                    !to.exists(),
                    "{} is there already, from an earlier undoing: move it away first",
                    to.display()
                );
                fs::rename(&from, &to).with_context(|| {
                    format!("{} cannot be renamed to {}", from.display(), to.display())
                })
            }
            Self::Remove { path } => fs::remove_file(&path)
                .with_context(|| format!("{} cannot be removed", path.display())),
            Self::Run(program) => program.run(quiet),
            Self::RecoveryKey {
                volume,
                passphrase_files,
                file,
            } => {
                let (mut enrolment, _) = several::begin(&volume, &[], first(&passphrase_files))?;
                let wish = file.map_or(RecoveryKeyWish::Print, RecoveryKeyWish::File);
                make_recovery_key(&mut enrolment, wish, false)
                    .context("no recovery key was made")?;
                Ok(())
            }
            Self::Enrol { launch, enroll, .. } => enroll.carry_out(Some(launch.check()?), !quiet),
            Self::WritePins {
                config,
                volume,
                srk,
                secret,
            } => pins::write(&config, &volume, &srk, &secret, Wish::Always).map(drop),
            Self::WipeRecords { volume } => {
                wipe(&volume, WipeRequest::All, false)?;
                Ok(())
            }
            Self::WipeRecoveryKeys { volume } => {
                wipe_kinds(&volume, &[Kind::Recovery].into())?;
                Ok(())
            }
        }
    }
}

/// The passphrase file of the volume with the records.
fn first(files: &[PathBuf]) -> &[PathBuf] {
    files.get(..1).unwrap_or(&[])
}

/// Has it anything that `WipeRecords` removes?
pub fn has_records(volume: &Path) -> bool {
    CheckedHeader::read(volume)
        .is_ok_and(|header| !find_enrolled(&header).is_empty() || !find_further(&header).is_empty())
}

/// The keyslots that `WipeRecoveryKeys` removes.
fn recovery_keyslots(volume: &Path) -> Vec<String> {
    let Ok(header) = CheckedHeader::read(volume) else {
        return Vec::new(); // The removal says why.
    };
    let held = holdings(&header).into_iter();
    held.filter(|held| held.kind == Kind::Recovery)
        .map(|held| {
            held.keyslot
                .map_or_else(|| "none".into(), |slot| slot.to_string())
        })
        .collect()
}

impl Program {
    fn run(self, quiet: bool) -> Result<()> {
        let shown = self.to_string();
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).envs(self.environment);
        if quiet {
            command.stdout(Stdio::from(std::io::stderr()));
        }
        let status = command
            .status()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        ensure!(status.success(), "`{shown}` failed ({status})");
        Ok(())
    }
}

/// As a person would type it.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", word(&value.to_string_lossy()))?;
        }
        f.write_str(&word(&self.path.to_string_lossy()))?;
        for argument in &self.arguments {
            write!(f, " {}", word(&argument.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// In quotes where a shell would read it otherwise.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,+@%-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// One line, or for a file its content below.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, content } => {
                write!(f, "write {}:", path.display())?;
                for line in content.lines() {
                    write!(f, "\n    | {}", printable::line(line))?;
                }
                Ok(())
            }
            Self::Rename { from, to } => write!(f, "rename {} to {}", from.display(), to.display()),
            Self::Remove { path } => write!(f, "remove {}", path.display()),
            Self::Run(program) => write!(f, "run `{}`", printable::line(program.to_string())),
            Self::RecoveryKey { volume, file, .. } => {
                write!(
                    f,
                    "{}: add a keyslot for a recovery key, and ",
                    volume.display()
                )?;
                match file {
                    Some(file) => write!(f, "write the key to {}", file.display()),
                    None => f.write_str("print the key once"),
                }
            }
            Self::Enrol { words, .. } => write!(
                f,
                "check that the launch that runs is that of an entry whose files are known here, stop otherwise, and do what `{words}` does with that entry's registers"
            ),
            Self::WritePins { config, secret, .. } => write!(
                f,
                "write {}: this TPM and the secret {secret}",
                pins::beside(config).display()
            ),
            Self::WipeRecords { volume } => write!(
                f,
                "{}: remove all records and their keyslots, those that were made by hand too, and with them the Tao host's secret",
                volume.display()
            ),
            Self::WipeRecoveryKeys { volume } => write!(
                f,
                "{}: remove the recovery keys (keyslots {})",
                volume.display(),
                recovery_keyslots(volume).join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_one_line_that_a_shell_reads_as_it_was_meant() {
        let action = Action::run("/usr/lib/taoboot/kernel", &[&"remove", &"6.1 $(x)'\n"]);
        let text = action.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        let word = r"'6.1 $(x)'\''\u000a'";
        assert!(text.contains(word), "{text}");
    }
}
