//! Swap as the configuration names it: under a random key, or on an enrolled volume for hibernation.

use serde::Deserialize;

use super::{device::DeviceSpec, error::ConfigError};

/// `[swap]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapConfig {
    /// Where it is. Under a random key: `PARTUUID=` or `/dev/...`, as its content is new at each boot and
    /// has no UUID. With `resume`: a logical volume or a further volume, by its name in /dev/mapper or by
    /// what is in it; unless given, what `resume=` on the command line names.
    #[serde(default)]
    pub device: Option<DeviceSpec>,
    /// Is a hibernation image on it resumed? Swap is not encrypted anew at each boot then, and the Tao
    /// host's secrets lie in the image with everything else.
    #[serde(default)]
    pub resume: bool,
}

impl SwapConfig {
    /// Refuses what cannot name the swap of its kind.
    pub(super) fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let invalid = |reason: String| ConfigError::Invalid {
            origin: origin.into(),
            reason,
        };
        match (&self.device, self.resume) {
            (None, false) => Err(invalid(
                "[swap] names no device: write device = \"PARTUUID=...\" for swap under a random key, or \
                 resume = true for hibernation"
                    .into(),
            )),
            (Some(device), false) if !device.survives_random_content() => {
                Err(ConfigError::SwapByContent {
                    origin: origin.into(),
                    spec: device.clone(),
                })
            }
            (Some(DeviceSpec::PartUuid(uuid)), true) => Err(invalid(format!(
                "swap with resume = true is PARTUUID={uuid}: a partition is not encrypted, so name a logical \
                 volume or a further volume that is enrolled, as /dev/mapper/NAME, UUID= or LABEL="
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn hibernation_is_asked_for_by_name_and_never_on_a_partition() {
        let uuid = "UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
        for (text, resumes) in [
            ("[swap]\nresume = true\n".to_owned(), true),
            (
                format!("[swap]\nresume = true\ndevice = \"{uuid}\"\n"),
                true,
            ),
            (
                "[swap]\nresume = true\ndevice = \"/dev/mapper/vg-swap\"\n".into(),
                true,
            ),
            ("[swap]\ndevice = \"/dev/sda3\"\n".into(), false),
            (
                "[swap]\nresume = false\ndevice = \"PARTUUID=deadbeef-01\"\n".into(),
                false,
            ),
        ] {
            let swap = Config::parse(&text, "t").unwrap().swap.unwrap();
            assert_eq!(swap.resume, resumes, "{text}");
        }
        for (text, said) in [
            ("[swap]\n".to_owned(), "names no device"),
            ("[swap]\nresume = false\n".into(), "names no device"),
            (
                format!("[swap]\ndevice = \"{uuid}\"\n"),
                "searched by content",
            ),
            (
                "[swap]\nresume = true\ndevice = \"PARTUUID=deadbeef-01\"\n".into(),
                "a partition is not encrypted",
            ),
            ("[swap]\nresume = \"yes\"\n".into(), "expected a boolean"),
            ("[swap]\nhibernate = true\n".into(), "unknown field"),
        ] {
            let error = Config::parse(&text, "t").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
