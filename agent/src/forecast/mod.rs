//! What /init, and then systemd, will do with a command line: said before the boot.
//!
//! It is the code of /init itself that judges: its reader of the command line ([`CommandLine`],
//! [`volumes_of`]), and what finds root on the volume ([`Enrolled`]). Of systemd it is known that systemd-cryptsetup-generator(8) opens what crypttab says under the names that it says.

mod further;
mod root;
mod system;
pub mod verdict;

use serde::{Deserialize, Serialize};
use storage::device_name;

pub use self::system::{IsFurther, Opened, System};
use self::{
    root::Root,
    system::{APPLY, Stop, is_enrolled, names_volume, quoted, same_uuid},
};
use crate::{
    boot::{
        config::{
            RootOptions, SettingsError, VolumesSettings,
            cmdline::{CommandLine, split_words},
            resume_of, volumes_of,
        },
        lvm::Enrolled,
        swap,
    },
    config::{Config, check_mapper_name, device::DeviceSpec},
};

/// What will happen, each a sentence with what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The machine will not get to its login.
    pub stops: Vec<String>,
    /// systemd asks for a passphrase although the volume is open.
    pub asks: Vec<String>,
    /// What cannot be told here, so that it is not known whether the machine gets to its login.
    pub unknown: Vec<String>,
    /// Worth knowing.
    pub notes: Vec<String>,
}

impl Forecast {
    /// For one command line.
    pub fn of(text: &str, system: &System<'_>) -> Self {
        let mut forecast = Self::default();
        match forecast.settled(text, system) {
            Ok((volumes, root)) => {
                forecast.judge_crypttab(text, &volumes.first.name, system);
                forecast.judge_further(&volumes.further, system);
                forecast.judge_fstab(&volumes, root.group.as_ref(), system);
                forecast.unknown.extend(root.unknown);
                forecast.notes.extend(root.notes);
            }
            // Errors of the reader quote words as they are.
            Err(reason) => forecast.stops.push(printable::line(reason).to_string()),
        }
        forecast
    }

    /// The name that /init gives to the volume, and what it finds there; or why it stops.
    fn settled(
        &mut self,
        text: &str,
        system: &System<'_>,
    ) -> Result<(VolumesSettings, Root), Stop> {
        let uuid = system.uuid;
        let line = CommandLine::parse(text)
            .map_err(|error| Stop::at(format!("{error}: correct GRUB_CMDLINE_LINUX, {APPLY}")))?;
        for word in &line.ignored {
            self.notes.push(format!(
                "/init does not know the option {} and ignores it",
                quoted(word)
            ));
        }
        let (config, known) = match system.config {
            Some(Ok(config)) => (config.clone(), true),
            Some(Err(error)) => return Err(Stop::at(error)),
            None => (Config::default(), false),
        };
        match resume_of(&line, &config) {
            Ok(None) => {
                if let Some(device) = &line.resume {
                    self.notes.push(format!(
                        "resume={} is not obeyed: /init resumes no hibernation image unless the measured configuration has [swap] resume = true",
                        quoted(device)
                    ));
                }
            }
            Ok(Some(_)) => {}
            // What is on the line is wrong, or the two together.
            Err(SettingsError::ResumeWhere) if !known => {}
            Err(error) => {
                return Err(Stop::at(format!(
                    "{error}: correct GRUB_CMDLINE_LINUX, {APPLY}"
                )));
            }
        }
        let volumes = match volumes_of(&line, &config) {
            Ok(volumes) => volumes,
            Err(SettingsError::NoVolume) if !known => {
                self.notes.push(
                    "the command line names no volume, and the configuration of the image is not known here".into(),
                );
                let volumes = VolumesSettings::only(DeviceSpec::Uuid(uuid.to_owned()));
                return Ok((volumes, Root::unnamed(system)));
            }
            Err(SettingsError::NoVolume) => {
                return Err(Stop(format!(
                    "/init stops because no encrypted volume is named: put rd.luks.uuid={uuid} into GRUB_CMDLINE_LINUX, or [volume] device = \"UUID={uuid}\" into /etc/taoboot/image.toml, {APPLY}"
                )));
            }
            Err(error) => return Err(Stop::at(error)),
        };
        let first = &volumes.first;
        if names_volume(&first.device, system) == Some(false) {
            return Err(Stop(format!(
                "/init waits for the volume {}, which is not the enrolled one, and stops: name the enrolled one first, with rd.luks.uuid={uuid} in GRUB_CMDLINE_LINUX, {APPLY}",
                quoted(&first.device.to_string())
            )));
        }
        let options = RootOptions {
            spec: line.root,
            kind: line.rootfstype,
            flags: None,
            read_only: true,
        };
        let root = Root::of(&options, &volumes, system)?;
        Ok((volumes, root))
    }

    /// What systemd opens a second time.
    fn judge_crypttab(&mut self, text: &str, name: &str, system: &System<'_>) {
        let words = split_words(text);
        let is_off = |word: &String| {
            ["luks=", "luks.crypttab="].iter().any(|start| {
                word.strip_prefix(start)
                    .is_some_and(|value| matches!(value, "no" | "0" | "false" | "off"))
            })
        };
        let uuid = system.uuid;
        if !words.iter().any(is_off) {
            let lines = system.crypttab.iter().filter(|line| line.at_boot());
            for line in lines.filter(|line| is_enrolled(&line.device, system) && line.name != name)
            {
                let other = quoted(&line.name);
                let rename = format!(
                    "call it {name} in /etc/crypttab, and write /dev/mapper/{name} where /etc/fstab has /dev/mapper/{other}"
                );
                let todo = match check_mapper_name(&line.name, "crypttab") {
                    Ok(()) => format!(
                        "put rd.luks.name={uuid}={other} into GRUB_CMDLINE_LINUX, or name = \"{other}\" into its [volume] in image.toml, {APPLY}; or {rename}"
                    ),
                    Err(_) => rename,
                };
                self.asks.push(format!(
                    "/init opens the volume as {name}, but /etc/crypttab calls it {other}: systemd asks for its passphrase a second time, and no passphrase opens a volume that is in use: {todo}"
                ));
            }
        }
        for word in &words {
            let other = if let Some(value) = word.strip_prefix("luks.name=") {
                value
                    .split_once('=')
                    .filter(|(named, _)| same_uuid(named, uuid))
                    .map(|(_, other)| other.to_owned())
            } else if let Some(named) = word.strip_prefix("luks.uuid=") {
                same_uuid(named, uuid).then(|| format!("luks-{}", uuid.to_ascii_lowercase()))
            } else {
                None
            };
            if let Some(other) = other.filter(|other| other != name) {
                self.asks.push(format!(
                    "/init opens the volume as {name}, but {} tells systemd to open it as {}, so systemd asks for its passphrase a second time: write rd.luks.name={uuid}=NAME instead into GRUB_CMDLINE_LINUX, which only /init reads, {APPLY}",
                    quoted(word),
                    quoted(&other)
                ));
            }
        }
    }

    /// What systemd waits for in vain.
    fn judge_fstab(
        &mut self,
        volumes: &VolumesSettings,
        group: Option<&Enrolled>,
        system: &System<'_>,
    ) {
        let name = &volumes.first.name;
        let made = |mapping: &str| {
            mapping == name
                || volumes.further.iter().any(|volume| volume.name == mapping)
                || group.is_some_and(|group| group.has_mapping(mapping))
                || (system.swap && mapping == swap::NAME)
                || system.crypttab.iter().any(|line| {
                    line.name == mapping && line.at_boot() && !is_enrolled(&line.device, system)
                })
        };
        // What fstab takes for the volume. Another name may be a logical volume's.
        let root = system
            .fstab
            .iter()
            .filter(|line| line.place == "/")
            .find_map(|line| device_name::mapping(&line.device));
        let means_volume = |mapping: &str| {
            root == Some(mapping)
                || system
                    .crypttab
                    .iter()
                    .any(|line| line.name == mapping && is_enrolled(&line.device, system))
        };
        for line in system.fstab.iter().filter(|line| line.at_boot()) {
            let Some(mapping) = device_name::mapping(&line.device).filter(|name| !made(name))
            else {
                continue;
            };
            let (shown, place) = (quoted(mapping), quoted(&line.place));
            let missing = format!("/dev/mapper/{shown} will not exist");
            let todo = format!(
                "write /dev/mapper/{name} there, or put rd.luks.name={}={shown} into GRUB_CMDLINE_LINUX, {APPLY}",
                system.uuid
            );
            if line.is_swap() {
                let todo = if system.swap {
                    format!(
                        "/init opens swap as /dev/mapper/{0}: write that there",
                        swap::NAME
                    )
                } else {
                    "correct it, or take it out".to_owned()
                };
                self.notes.push(format!(
                    "/etc/fstab has swap on {shown}, but nothing in /etc/crypttab makes /dev/mapper/{shown}, so there is no swap unless it is a logical volume: {todo}"
                ));
            } else if line.place == "/" {
                self.notes.push(format!(
                    "/etc/fstab has / on /dev/mapper/{shown}, but {missing}: {todo}"
                ));
            } else if means_volume(mapping) && line.needed() {
                self.stops.push(format!(
                    "systemd waits in vain for {place} and stops in emergency mode, because {missing}: {todo}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod lvm_tests;
#[cfg(test)]
mod tests;
