//! What this boot is to do: the measured configuration, overridden by the measured command line.

mod arrays;
pub mod cmdline;
mod error;
mod resume;
mod volumes;
mod words;

use std::{fs, path::PathBuf, time::Duration};

use tpm::Name;

use crate::{
    config::{
        AcpiPin, Config, HostKey, OnFailure, Require, SecretId, WithoutTpm, device::DeviceSpec,
    },
    host::HostSettings,
};
pub use arrays::ArraySettings;
use cmdline::CommandLine;
use error::CONFIG;
pub use error::{CommandLineError, SettingsError};
pub use resume::{ResumeSettings, refuse_before_init, resume_of};
pub use volumes::{VolumeSettings, VolumesSettings, volumes_of};

/// How root is mounted.
#[derive(Clone, Debug)]
pub struct RootOptions {
    /// `root=`
    pub spec: Option<DeviceSpec>,
    /// `rootfstype=`
    pub kind: Option<String>,
    /// `rootflags=`
    pub flags: Option<String>,
    /// `ro` (the default, as the kernel's) or `rw`.
    pub read_only: bool,
}

/// What this boot is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The failure policy.
    pub on_failure: OnFailure,
    /// What a machine without a TPM does.
    pub no_tpm: WithoutTpm,
    /// Wait before restart or power-off.
    pub failure_delay: Duration,
    /// Wait for devices.
    pub device_timeout: Duration,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// The pinned storage root key.
    pub srk_name: Option<Name>,
    /// The pinned boot secret.
    pub secret_id: Option<SecretId>,
    /// What must release it.
    pub require: Require,
    /// One for each character that is typed.
    pub stars: bool,
    /// The only key that the Tao host may have.
    pub host_key: Option<HostKey>,
    /// The only ACPI tables with code.
    pub acpi_tables: Option<AcpiPin>,
    /// The LUKS volumes.
    pub volumes: VolumesSettings,
    /// The md arrays that are assembled.
    pub arrays: Vec<ArraySettings>,
    /// The swap device, where the record does not say.
    pub swap: Option<DeviceSpec>,
    /// The swap that a hibernation image is resumed from; there is no swap under a random key then.
    pub resume: Option<ResumeSettings>,
    /// How to mount root.
    pub root: RootOptions,
    /// `init=`
    pub init: Option<PathBuf>,
    /// Parameters for modules.
    pub module_parameters: Vec<(String, String)>,
    /// What the resident Tao host gets.
    pub host: HostSettings,
    /// Words that are not obeyed, to be reported.
    pub ignored: Vec<String>,
}

/// The command line and what could be understood of it; needed even when the rest fails.
pub fn read_command_line() -> Result<String, SettingsError> {
    fs::read_to_string("/proc/cmdline").map_err(|source| SettingsError::Unreadable {
        path: "/proc/cmdline",
        source,
    })
}

/// The configuration of the image; an image without one has the defaults.
pub fn read_config() -> Result<Config, SettingsError> {
    match fs::read_to_string(CONFIG) {
        Ok(text) => Ok(Config::parse(&text, CONFIG)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(source) => Err(SettingsError::Unreadable {
            path: CONFIG,
            source,
        }),
    }
}

impl Settings {
    /// Merges the two; the command line wins.
    pub fn merge(line: CommandLine, config: Config) -> Result<Self, SettingsError> {
        let resume = resume_of(&line, &config)?;
        let may_hibernate = resume.is_some();
        let mut ignored = line.ignored.clone();
        if let (None, Some(device)) = (&resume, &line.resume) {
            ignored.push(format!("resume={device}"));
        }
        let volumes = volumes_of(&line, &config)?;
        let arrays = arrays::arrays_of(&line, &config)?;
        Ok(Self {
            on_failure: line.on_failure.unwrap_or(config.on_failure),
            no_tpm: line.no_tpm.unwrap_or(config.no_tpm),
            failure_delay: Duration::from_secs(
                line.failure_delay.unwrap_or(config.failure_delay).get(),
            ),
            device_timeout: Duration::from_secs(
                line.device_timeout.unwrap_or(config.device_timeout).get(),
            ),
            report: line.report,
            srk_name: config.srk_name,
            secret_id: config.secret_id,
            require: config.unlock.require,
            stars: config.unlock.stars,
            host_key: config.host_key,
            acpi_tables: config.acpi_tables,
            volumes,
            arrays,
            swap: match &resume {
                Some(_) => None,
                None => config.swap.and_then(|swap| swap.device),
            },
            resume,
            root: RootOptions {
                spec: line.root,
                kind: line.rootfstype,
                flags: line.rootflags,
                read_only: line.read_only.unwrap_or(true),
            },
            init: line.init,
            module_parameters: line.module_parameters,
            host: HostSettings::read(config.tao)?.hibernating(may_hibernate),
            ignored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

    fn merged(line: &str, config: &str) -> Result<Settings, SettingsError> {
        Settings::merge(
            CommandLine::parse(line).unwrap(),
            Config::parse(config, "t").unwrap(),
        )
    }

    /// The failure policy alone lets no machine be without a TPM.
    #[test]
    fn a_machine_without_a_tpm_stops_unless_that_is_said() {
        let volume = format!("[volume]\ndevice = \"UUID={UUID}\"\n");
        for (line, config, expected) in [
            ("taoboot.on_failure=prompt", "", WithoutTpm::Stop),
            ("", "no_tpm = \"prompt\"\n", WithoutTpm::Prompt),
            ("taoboot.no_tpm=prompt", "", WithoutTpm::Prompt),
            (
                "taoboot.no_tpm=stop",
                "no_tpm = \"prompt\"\n",
                WithoutTpm::Stop,
            ),
        ] {
            let settings = merged(line, &format!("{config}{volume}")).unwrap();
            assert_eq!(settings.no_tpm, expected, "{line} {config}");
        }
    }

    #[test]
    fn the_command_line_overrides_the_configuration() {
        let config = format!(
            "on_failure = \"prompt\"\n[volume]\ndevice = \"UUID={UUID}\"\nname = \"disk\"\n"
        );
        let settings = merged(
            "taoboot.on_failure=poweroff taoboot.failure_delay=0",
            &config,
        )
        .unwrap();
        assert_eq!(settings.on_failure, OnFailure::Poweroff);
        assert_eq!(settings.failure_delay, Duration::ZERO);
        assert_eq!(settings.volumes.first.name, "disk");
    }

    #[test]
    fn root_on_a_partition_names_the_volume() {
        let settings = merged("root=PARTUUID=deadbeef-02 rw", "").unwrap();
        assert_eq!(
            settings.volumes.first.device.to_string(),
            "PARTUUID=deadbeef-02"
        );
        assert!(!settings.root.read_only);
    }

    #[test]
    fn without_a_volume_there_is_nothing_to_unlock() {
        for line in ["", "root=/dev/mapper/root"] {
            assert!(
                matches!(merged(line, ""), Err(SettingsError::NoVolume)),
                "{line}"
            );
        }
    }

    #[test]
    fn a_mapping_name_that_leaves_dev_mapper_is_refused() {
        assert!(merged(&format!("rd.luks.name={UUID}=../x"), "").is_err());
    }
}
