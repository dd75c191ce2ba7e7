//! The measured configuration, `/etc/taoboot.toml` inside the image.
//!
//! It is part of the initramfs, so tboot measures it: whoever changes it changes PCR 19
//! (or 17, under tboot's built-in policy) and gets no key. Unknown keys are errors, because
//! a misspelt security option that is silently ignored is an option that is off.

mod array;
mod console;
pub mod device;
mod error;
mod pins;
pub(crate) mod policies;
mod seconds;
mod swap;
mod volume;

use serde::Deserialize;
use tpm::Name;

use crate::host::TaoConfig;

pub use array::{ArrayConfig, MAX_ARRAYS, number as array_number};
pub use console::ConsoleConfig;
pub use error::{ConfigError, check_mapper_name};
pub use pins::{AcpiPin, HostKey, SecretId};
pub use policies::{OnFailure, Require, WithoutTpm};
pub use seconds::Seconds;
pub use swap::SwapConfig;
pub use volume::{MAX_VOLUMES, UnknownOption, VolumeConfig, VolumeOption};

/// `/etc/taoboot.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The failure policy; `reboot` unless given.
    pub on_failure: OnFailure,
    /// What a machine without a TPM does; `stop` unless given.
    pub no_tpm: WithoutTpm,
    /// Seconds between the sentence that says why and the restart. 0 to 3600.
    pub failure_delay: Seconds<5>,
    /// Seconds to wait for a disk or the TPM to appear. 0 to 3600.
    pub device_timeout: Seconds<30>,
    /// The only storage root key this machine's records may be sealed under.
    pub srk_name: Option<Name>,
    /// The only boot secret that may open the volume, as `taoboot status` names it: a volume
    /// that somebody else enrolled for this same launch on this TPM is refused.
    pub secret_id: Option<SecretId>,
    /// The only key that the Tao host may have, as the boot event of PCR 15 names it: a record
    /// that somebody with the volume's key made, with a host secret of his own, is refused.
    pub host_key: Option<HostKey>,
    /// The only ACPI tables with code in them that the kernel may have been given, as /run/tao/boot.json
    /// names them. A machine whose firmware makes them anew at each boot cannot pin them.
    pub acpi_tables: Option<AcpiPin>,
    /// The encrypted volumes: `[volume]`, or `[[volume]]` for each of several. The first has the sealed
    /// records, and holds the root file system.
    #[serde(deserialize_with = "volume::one_or_several")]
    pub volume: Vec<VolumeConfig>,
    /// The md arrays that are assembled before volumes are looked for.
    pub array: Vec<ArrayConfig>,
    /// What releases the disk key.
    pub unlock: UnlockConfig,
    /// Swap under a random key, where the sealed record does not name it; or swap on an enrolled volume
    /// for hibernation.
    pub swap: Option<SwapConfig>,
    /// The console's keymap, which the image builder puts into the image.
    pub console: ConsoleConfig,
    /// The Tao host.
    pub tao: TaoConfig,
}

/// `[unlock]`: what releases the disk key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnlockConfig {
    /// `tpm` unless given. Records that are sealed with less are not opened.
    pub require: Require,
    /// Show a star for each character that is typed; nothing is shown unless given.
    pub stars: bool,
}

impl Config {
    /// Reads a configuration; `origin` names it in errors.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            origin: origin.into(),
            reason: one_line(&error, text),
        })?;
        volume::check(&config.volume, origin)?;
        array::check(&config.array, origin)?;
        console::check(&config.console, origin)?;
        if let Some(swap) = &config.swap {
            swap.check(origin)?;
        }
        // Whoever answers for another TPM knows the session's key, and could try PINs on its HMAC.
        if config.unlock.require == Require::TpmAndPin && config.srk_name.is_none() {
            return Err(ConfigError::PinForAnyTpm {
                origin: origin.into(),
            });
        }
        Ok(config)
    }
}

/// toml's message without its multi-line drawing, with the line it speaks of.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim().replace('\n', "; ");
    match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count().saturating_add(1);
            format!("line {line}: {message}")
        }
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_reboots_on_failure() {
        let config = Config::parse("", "test").unwrap();
        assert_eq!(config.on_failure, OnFailure::Reboot);
        assert_eq!(config.failure_delay.get(), 5);
        assert!(config.volume.is_empty());
    }

    #[test]
    fn a_full_configuration_is_read() {
        let text = format!(
            "on_failure = \"prompt\"\nfailure_delay = 1\nsrk_name = \"000b{}\"\n\
             [volume]\ndevice = \"UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11\"\n\
             [swap]\ndevice = \"PARTUUID=deadbeef-01\"\n",
            "ab".repeat(32)
        );
        let config = Config::parse(&text, "test").unwrap();
        assert_eq!(config.on_failure, OnFailure::Prompt);
        assert_eq!(config.volume.len(), 1);
        assert_eq!(config.volume[0].name, None);
        assert!(config.srk_name.is_some());
    }

    #[test]
    fn several_volumes_keep_their_order_names_and_options() {
        let text = "[[volume]]\ndevice = \"/dev/sda3\"\nname = \"sda3_crypt\"\noptions = [\"discard\", \"no-read-workqueue\"]\n\
                    [[volume]]\ndevice = \"LABEL=backup\"\noptions = [\"read-only\"]\n";
        let volumes = Config::parse(text, "t").unwrap().volume;
        let names: Vec<_> = volumes
            .iter()
            .map(|volume| volume.name.as_deref())
            .collect();
        assert_eq!(names, [Some("sda3_crypt"), None]);
        assert_eq!(
            volumes[0].options,
            [VolumeOption::Discard, VolumeOption::NoReadWorkqueue]
        );
        assert_eq!(volumes[1].options, [VolumeOption::ReadOnly]);
    }

    #[test]
    fn volumes_that_contradict_each_other_are_refused() {
        let volume = |device: &str, name: &str| {
            format!("[[volume]]\ndevice = \"{device}\"\nname = \"{name}\"\n")
        };
        let many: String = (0..33)
            .map(|number| volume(&format!("/dev/sd{number}"), &format!("v{number}")))
            .collect();
        for (text, said) in [
            (
                volume("/dev/sda", "a") + &volume("/dev/sda", "b"),
                "named twice",
            ),
            (
                volume("/dev/sda", "a") + &volume("/dev/sdb", "a"),
                "have the name \"a\"",
            ),
            (volume("/dev/sda", "../a"), "not usable below /dev/mapper"),
            (
                volume("/dev/sda", "a") + "options = [\"tpm2-device\"]\n",
                "unknown variant",
            ),
            (
                volume("/dev/sda", "a") + "keyfile = \"/k\"\n",
                "unknown field",
            ),
            ("volume = 7\n".into(), "[[volume]] for each"),
            (many, "33 volumes"),
        ] {
            let error = Config::parse(&text, "t").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error =
            Config::parse("failure_delay = 1\non_failur = \"reboot\"\n", "t.toml").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("t.toml: line 2: unknown field `on_failur`"),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_pin_is_asked_for_where_the_configuration_says_so_and_names_the_tpm() {
        let pin = "[unlock]\nrequire = \"tpm+pin\"\n";
        let srk = format!("srk_name = \"000b{}\"\n", "ab".repeat(32));
        let config = Config::parse(&format!("{srk}{pin}"), "t").unwrap();
        assert_eq!(config.unlock.require, Require::TpmAndPin);
        for text in ["", "[unlock]\n", "[unlock]\nrequire = \"tpm\"\n"] {
            assert_eq!(
                Config::parse(text, "t").unwrap().unlock.require,
                Require::Tpm
            );
        }
        let error = Config::parse(pin, "t").unwrap_err().to_string();
        assert!(error.contains("srk_name"), "{error}");
        for text in [
            "[unlock]\nrequire = \"pin\"\n",
            "[unlock]\nrequires = \"tpm\"\n",
        ] {
            assert!(Config::parse(text, "t").is_err(), "{text}");
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        for text in [
            "failure_delay = 4000",
            "failure_delay = -1",
            "on_failure = \"shell\"",
            "srk_name = \"000b\"",
            "acpi_tables = \"sha256:00\"",
            "[volume]\ndevice = \"UUID=xyz\"",
            "[volume]\ndevice = \"/dev/vda\"\nname = \"../x\"",
            "[swap]\ndevice = \"UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11\"",
        ] {
            assert!(Config::parse(text, "t").is_err(), "{text}");
        }
    }
}
