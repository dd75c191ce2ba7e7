//! The kernel command line: the words people know, and our own that begin with `taoboot.`.
//!
//! tboot measures this line together with the kernel, so every word here is as trusted as
//! the kernel itself. A `taoboot.` word that does not exist is an error, not a surprise.

use std::path::PathBuf;

use storage::md::ArrayId;

use super::error::CommandLineError;
pub use super::words::split_words;
use crate::config::{
    MAX_VOLUMES, OnFailure, Seconds, VolumeOption, WithoutTpm, device::DeviceSpec,
};

/// What the command line asks for; `None` where it is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `root=`
    pub root: Option<DeviceSpec>,
    /// `rootflags=`: mount options.
    pub rootflags: Option<String>,
    /// `rootfstype=`; the first of a comma-separated list that is not `auto`.
    pub rootfstype: Option<String>,
    /// `ro` or `rw`, whichever comes last.
    pub read_only: Option<bool>,
    /// `init=`
    pub init: Option<PathBuf>,
    /// `rd.luks.name=UUID=NAME`, `rd.luks.uuid=UUID` and `rd.luks.options=`, in the order of the UUIDs.
    pub volumes: Vec<LineVolume>,
    /// `rd.luks.options=OPTIONS`, for all that have none of their own.
    pub volume_options: Option<Vec<VolumeOption>>,
    /// `rd.md.uuid=`, dracut's word.
    pub arrays: Vec<ArrayId>,
    /// `taoboot.on_failure=`
    pub on_failure: Option<OnFailure>,
    /// `taoboot.no_tpm=`
    pub no_tpm: Option<WithoutTpm>,
    /// `taoboot.failure_delay=`, seconds.
    pub failure_delay: Option<Seconds<5>>,
    /// `taoboot.device_timeout=`, seconds.
    pub device_timeout: Option<Seconds<30>>,
    /// `taoboot.report=`: a device that gets the boot's report as one JSON line.
    pub report: Option<PathBuf>,
    /// Words that ask for something taoboot does not do; reported, then ignored.
    pub ignored: Vec<String>,
    /// `resume=` as given, the last one; which of its forms is obeyed is decided in
    /// [`super::resume`].
    pub resume: Option<String>,
    /// `resume_offset=`, as given.
    pub resume_offset: Option<String>,
    /// `noresume`, and the other words by which the kernel resumes nothing.
    pub no_resume: bool,
    /// `module.parameter=value` words, as given.
    pub module_parameters: Vec<(String, String)>,
}

/// A volume that the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineVolume {
    /// Its UUID.
    pub device: DeviceSpec,
    /// Its name below /dev/mapper: of `rd.luks.name=`, or `luks-UUID` where `rd.luks.uuid=` says so.
    pub name: Option<String>,
    /// `rd.luks.options=UUID=OPTIONS`.
    pub options: Option<Vec<VolumeOption>>,
    /// Is it opened? Options alone do not ask for that.
    pub wanted: bool,
}

impl CommandLine {
    /// Reads the text of /proc/cmdline.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        let mut line = Self::default();
        for word in split_words(text) {
            if word == "--" {
                break; // what follows belongs to the real init
            }
            line.take(&word)?;
        }
        Ok(line)
    }

    /// What a failure does, as far as the command line says it: for a line that is wrong
    /// elsewhere. Nothing else of it may be used.
    pub fn failure_words(text: &str) -> Self {
        let mut line = Self::default();
        for word in split_words(text).iter().take_while(|word| *word != "--") {
            let known = [
                "taoboot.on_failure=",
                "taoboot.failure_delay=",
                "taoboot.report=",
            ];
            if known.iter().any(|start| word.starts_with(start)) {
                // The wrong word itself is reported by `parse`.
                drop(line.take(word));
            }
        }
        line
    }

    /// What the kernel itself resumes from, also of a line that is wrong elsewhere.
    pub fn resume_words(text: &str) -> Self {
        let mut line = Self::default();
        for word in split_words(text).iter().take_while(|word| *word != "--") {
            let known = ["resume=", "noresume", "nohibernate", "hibernate="];
            if known.iter().any(|start| word.starts_with(start)) {
                // None of these words is ever refused.
                drop(line.take(word));
            }
        }
        line
    }

    fn take(&mut self, word: &str) -> Result<(), CommandLineError> {
        let (key, value) = word
            .split_once('=')
            .map_or((word, None), |(k, v)| (k, Some(v)));
        match (key, value) {
            ("root", Some(value)) => self.root = Some(device("root=", value)?),
            ("rootflags", Some(value)) => self.rootflags = Some(value.into()),
            ("rootfstype", Some(value)) => {
                self.rootfstype = value
                    .split(',')
                    .find(|kind| !kind.is_empty() && *kind != "auto")
                    .map(Into::into);
            }
            ("ro", None) => self.read_only = Some(true),
            ("rw", None) => self.read_only = Some(false),
            ("init", Some(value)) => self.init = Some(absolute(word, value)?),
            // The kernel obeys it: from then on consoles show nothing but errors.
            ("quiet", None) => {}
            ("rd.luks.uuid", Some(value)) => {
                // Fedora's form is also what the mapping is called.
                let name = value.starts_with("luks-").then(|| value.to_owned());
                let volume = self.wanted(luks_uuid("rd.luks.uuid=", value)?)?;
                if volume.name.is_none() {
                    volume.name = name;
                }
            }
            ("rd.luks.name", Some(value)) => {
                let (uuid, name) =
                    value
                        .split_once('=')
                        .ok_or_else(|| CommandLineError::BadValue {
                            word: word.into(),
                            reason: "expected rd.luks.name=UUID=NAME".into(),
                        })?;
                let volume = self.wanted(luks_uuid("rd.luks.name=", uuid)?)?;
                volume.name = Some(name.into());
            }
            ("rd.luks.options", Some(value)) => match options_of_uuid(value) {
                Some((uuid, options)) => {
                    let options = self.options(word, options)?;
                    self.volume(luks_uuid("rd.luks.options=", uuid)?)?.options = Some(options);
                }
                None => self.volume_options = Some(self.options(word, value)?),
            },
            ("rd.md.uuid", Some(value)) => {
                let array = ArrayId::parse(value).ok_or_else(|| CommandLineError::BadValue {
                    word: word.into(),
                    reason: "expected 32 hex digits, as mdadm --detail prints them".into(),
                })?;
                if !self.arrays.contains(&array) {
                    self.arrays.push(array);
                }
            }
            ("resume", Some(value)) => self.resume = Some(value.into()),
            ("resume_offset", Some(value)) => self.resume_offset = Some(value.into()),
            ("noresume" | "nohibernate", None) | ("hibernate", Some("no" | "noresume")) => {
                self.no_resume = true;
            }
            ("rd.break" | "rd.shell" | "rd.luks.key", _) => {
                self.ignored.push(word.into());
            }
            ("taoboot.on_failure", Some(value)) => self.on_failure = Some(parsed(word, value)?),
            ("taoboot.no_tpm", Some(value)) => self.no_tpm = Some(parsed(word, value)?),
            ("taoboot.failure_delay", Some(value)) => {
                self.failure_delay = Some(parsed(word, value)?)
            }
            ("taoboot.device_timeout", Some(value)) => {
                self.device_timeout = Some(parsed(word, value)?)
            }
            ("taoboot.report", Some(value)) => {
                let path = absolute(word, value)?;
                if !path.starts_with("/dev") {
                    return Err(CommandLineError::BadValue {
                        word: word.into(),
                        reason: "expected a device below /dev".into(),
                    });
                }
                self.report = Some(path);
            }
            _ if key == "taoboot" || key.starts_with("taoboot.") => {
                return Err(CommandLineError::UnknownWord(word.into()));
            }
            _ => {
                if let (Some((module, parameter)), Some(value)) = (key.split_once('.'), value) {
                    self.module_parameters
                        .push((module.replace('-', "_"), format!("{parameter}={value}")));
                }
            }
        }
        Ok(())
    }

    /// The volume with this UUID, which may be new. dracut's and systemd's habit is to give several
    /// words for the same one.
    fn volume(&mut self, device: DeviceSpec) -> Result<&mut LineVolume, CommandLineError> {
        let known = self.volumes.iter().position(|known| known.device == device);
        let position = match known {
            Some(position) => position,
            None if self.volumes.len() >= MAX_VOLUMES => {
                return Err(CommandLineError::TooManyVolumes);
            }
            None => {
                self.volumes.push(LineVolume {
                    device,
                    name: None,
                    options: None,
                    wanted: false,
                });
                self.volumes.len().saturating_sub(1)
            }
        };
        self.volumes
            .get_mut(position)
            .ok_or(CommandLineError::TooManyVolumes)
    }

    /// A volume that is to be opened. Its place is that of the first word that asks for it; one that only
    /// says options does not.
    fn wanted(&mut self, device: DeviceSpec) -> Result<&mut LineVolume, CommandLineError> {
        let new = !self.volume(device.clone())?.wanted;
        if new {
            let place = self.volumes.iter().filter(|volume| volume.wanted).count();
            let known = self.volumes.iter().position(|known| known.device == device);
            let known = known.ok_or(CommandLineError::TooManyVolumes)?;
            let mut volume = self.volumes.remove(known);
            volume.wanted = true;
            self.volumes.insert(place, volume);
        }
        self.volume(device)
    }

    /// The options that are known; the others are reported. One without which the volume would be another is
    /// refused.
    fn options(&mut self, word: &str, text: &str) -> Result<Vec<VolumeOption>, CommandLineError> {
        let mut options = Vec::new();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.parse() {
                Ok(option) => options.push(option),
                Err(_) if option.split('=').next() == Some("header") => {
                    return Err(CommandLineError::BadValue {
                        word: word.into(),
                        reason: "a detached header (header=) is not supported: the header must be on the volume's own device".into(),
                    });
                }
                // What holds for every volume that /init opens.
                Err(_) if ["luks", "x-initrd.attach", "initramfs"].contains(&option) => {}
                Err(_) => self.ignored.push(format!("{option} in {word}")),
            }
        }
        Ok(options)
    }
}

/// `UUID=OPTIONS`, told from options with values as systemd does: by hex digits and hyphens.
fn options_of_uuid(value: &str) -> Option<(&str, &str)> {
    let (uuid, options) = value.split_once('=')?;
    let bare = uuid.strip_prefix("luks-").unwrap_or(uuid);
    let is_uuid = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    (!bare.is_empty() && bare.bytes().all(is_uuid)).then_some((uuid, options))
}

fn device(word: &'static str, value: &str) -> Result<DeviceSpec, CommandLineError> {
    value
        .parse()
        .map_err(|source| CommandLineError::BadDevice { word, source })
}

/// `rd.luks.uuid=` takes a bare UUID, with an optional `luks-` before it.
fn luks_uuid(word: &'static str, value: &str) -> Result<DeviceSpec, CommandLineError> {
    device(
        word,
        &format!("UUID={}", value.strip_prefix("luks-").unwrap_or(value)),
    )
}

fn parsed<T: std::str::FromStr<Err = String>>(
    word: &str,
    value: &str,
) -> Result<T, CommandLineError> {
    value.parse().map_err(|reason| CommandLineError::BadValue {
        word: word.into(),
        reason,
    })
}

fn absolute(word: &str, value: &str) -> Result<PathBuf, CommandLineError> {
    let path = PathBuf::from(value);
    if path.is_absolute() && !value.split('/').any(|part| part == "..") {
        Ok(path)
    } else {
        Err(CommandLineError::BadValue {
            word: word.into(),
            reason: "expected an absolute path without ..".into(),
        })
    }
}

#[cfg(test)]
#[path = "cmdline_tests.rs"]
mod tests;
