//! What /init, and then systemd, will do with a command line: said before the boot.
//!
//! It is the reader of /init itself that judges ([`CommandLine`], [`volumes_of`]); of systemd it is
//! known that systemd-cryptsetup-generator(8) opens what crypttab says under the names that it says.

use serde::Serialize;
use storage::{crypttab::CryptLine, device_name, fstab::MountLine};

use crate::{
    boot::{
        config::{
            SettingsError,
            cmdline::{CommandLine, split_words},
            volumes_of,
        },
        swap,
    },
    config::{Config, ConfigError, check_mapper_name, device::DeviceSpec},
};

/// The system that an entry boots.
pub struct System<'s> {
    /// UUID of the enrolled volume.
    pub uuid: &'s str,
    /// The measured configuration; `None` where it is not known.
    pub config: Option<&'s Result<Config, ConfigError>>,
    /// /etc/crypttab.
    pub crypttab: &'s [CryptLine],
    /// /etc/fstab.
    pub fstab: &'s [MountLine],
    /// /init opens the swap device of the configuration or of the record.
    pub swap: bool,
    /// Is the node the device of the enrolled volume? `None` where that cannot be told.
    pub is_volume: &'s dyn Fn(&str) -> Option<bool>,
    /// Is the node a logical volume on the enrolled volume? `None` where that cannot be told.
    pub is_logical: &'s dyn Fn(&str) -> Option<bool>,
}

/// What will happen, each a sentence with what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The machine will not get to its login.
    pub stops: Vec<String>,
    /// systemd asks for a passphrase although the volume is open.
    pub asks: Vec<String>,
    /// Worth knowing.
    pub notes: Vec<String>,
}

const APPLY: &str = "then run update-grub and /usr/lib/taoboot/kernel refresh";

impl Forecast {
    /// For one command line.
    pub fn of(text: &str, system: &System<'_>) -> Self {
        let mut forecast = Self::default();
        match forecast.settled(text, system) {
            Ok(name) => {
                forecast.judge_crypttab(text, &name, system);
                forecast.judge_fstab(&name, system);
            }
            // Errors of the reader quote words as they are.
            Err(reason) => forecast.stops.push(printable::line(reason).to_string()),
        }
        forecast
    }

    /// The name that /init gives to the volume; or why it stops before that.
    fn settled(&mut self, text: &str, system: &System<'_>) -> Result<String, String> {
        let uuid = system.uuid;
        let line = CommandLine::parse(text).map_err(|error| {
            format!("/init stops: {error}: correct GRUB_CMDLINE_LINUX, {APPLY}")
        })?;
        for word in &line.ignored {
            self.notes.push(format!(
                "/init does not know the option {} and ignores it",
                quoted(word)
            ));
        }
        let (config, known) = match system.config {
            Some(Ok(config)) => (config.clone(), true),
            Some(Err(error)) => return Err(format!("/init stops: {error}")),
            None => (Config::default(), false),
        };
        let (volume, name) = match volumes_of(&line, &config) {
            Ok(found) => (found.first.device, found.first.name),
            Err(SettingsError::NoVolume) if !known => {
                self.notes.push(
                    "the command line names no volume, and the configuration of the image is not known here".into(),
                );
                return Ok("root".into());
            }
            Err(SettingsError::NoVolume) => {
                return Err(format!(
                    "/init stops because no encrypted volume is named: put rd.luks.uuid={uuid} into GRUB_CMDLINE_LINUX, or [volume] device = \"UUID={uuid}\" into /etc/taoboot/image.toml, {APPLY}"
                ));
            }
            Err(error) => return Err(format!("/init stops: {error}")),
        };
        if names_volume(&volume, system) == Some(false) {
            return Err(format!(
                "/init waits for the volume {}, which is not the enrolled one, and stops: name the enrolled one first, with rd.luks.uuid={uuid} in GRUB_CMDLINE_LINUX, {APPLY}",
                quoted(&volume.to_string())
            ));
        }
        if let Some(root) = &line.root {
            self.judge_root(root, &name, system)?;
        }
        Ok(name)
    }

    /// root= must name the mapping, what is in it, or the device below it.
    fn judge_root(
        &mut self,
        root: &DeviceSpec,
        name: &str,
        system: &System<'_>,
    ) -> Result<(), String> {
        let shown = quoted(&root.to_string());
        let text = root.to_string();
        if let Some(other) = device_name::mapping(&text) {
            if other == name || is_logical(other, system) {
                return Ok(());
            }
            return Err(format!(
                "/init opens the volume as /dev/mapper/{name}, but root= is {shown}, so it stops: {}, {APPLY}",
                match check_mapper_name(other, "root=") {
                    Ok(()) => format!(
                        "put rd.luks.name={}={other} into GRUB_CMDLINE_LINUX if {other} is the volume (a logical volume of it would be found, but {other} is none here)",
                        system.uuid
                    ),
                    Err(_) => format!("root= must be /dev/mapper/{name}"),
                }
            ));
        }
        match root {
            DeviceSpec::PartUuid(_) if names_volume(root, system) == Some(false) => Err(format!(
                "root={shown} is neither the enrolled volume nor in it, so /init stops: root= must be /dev/mapper/{name}, {APPLY}"
            )),
            DeviceSpec::Uuid(uuid) if *uuid != system.uuid.to_ascii_lowercase() => {
                let mut roots = system.fstab.iter().filter(|line| line.place == "/");
                let other = roots.find_map(|line| device_name::uuid(&line.device));
                if let Some(other) = other.filter(|other| other != uuid) {
                    self.notes.push(format!(
                        "root={shown}, but / in /etc/fstab is UUID={}: /init stops unless the command line is right",
                        quoted(&other)
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
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
                        "put rd.luks.name={uuid}={other} into GRUB_CMDLINE_LINUX, {APPLY}; or {rename}"
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
    fn judge_fstab(&mut self, name: &str, system: &System<'_>) {
        let made = |mapping: &str| {
            mapping == name
                || is_logical(mapping, system)
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

/// Does the specification name the enrolled volume? `None` where that cannot be told.
fn names_volume(spec: &DeviceSpec, system: &System<'_>) -> Option<bool> {
    match spec {
        DeviceSpec::Uuid(uuid) => Some(same_uuid(uuid, system.uuid)),
        other => (system.is_volume)(&device_name::node(&other.to_string())?),
    }
}

/// Is a line of a table about the enrolled volume?
fn is_enrolled(device: &str, system: &System<'_>) -> bool {
    match device_name::uuid(device) {
        Some(uuid) => same_uuid(&uuid, system.uuid),
        None => device_name::node(device).and_then(|node| (system.is_volume)(&node)) == Some(true),
    }
}

/// lvm2 maps it in the booted system, if /init does not.
fn is_logical(mapping: &str, system: &System<'_>) -> bool {
    (system.is_logical)(&format!("/dev/mapper/{mapping}")) == Some(true)
}

fn same_uuid(named: &str, uuid: &str) -> bool {
    let named = named.strip_prefix("luks-").unwrap_or(named);
    named.eq_ignore_ascii_case(uuid)
}

/// A word from outside in a sentence: short, and on its line.
fn quoted(word: &str) -> String {
    let short: String = word.chars().take(100).collect();
    printable::line(short).to_string()
}

#[cfg(test)]
mod tests;
