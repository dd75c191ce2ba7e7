//! How a person names a block device: `UUID=`, `LABEL=`, `PARTUUID=` or a path.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::Deserialize;

/// A block device as named on the kernel command line or in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DeviceSpec {
    /// By the UUID in its superblock or LUKS header; lower case.
    Uuid(String),
    /// By the label in its superblock or LUKS header.
    Label(String),
    /// By the partition's UUID; lower case. `xxxxxxxx-nn` on an MBR disk.
    PartUuid(String),
    /// By its node below /dev.
    Path(PathBuf),
}

/// A device name that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceSpecError {
    /// UUID= or PARTUUID= with something else behind it.
    #[error("{spec:?}: expected {expected}")]
    NotAUuid {
        /// What was given.
        spec: String,
        /// The form that is expected.
        expected: &'static str,
    },
    /// Neither a known tag nor a path.
    #[error("{0:?} does not name a device: expected UUID=, LABEL=, PARTUUID= or /dev/...")]
    Unknown(String),
}

impl DeviceSpec {
    /// Can the device still be found when its content is random? (Swap with a random key.)
    pub const fn survives_random_content(&self) -> bool {
        matches!(self, Self::PartUuid(_) | Self::Path(_))
    }
}

impl FromStr for DeviceSpec {
    type Err = DeviceSpecError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(uuid) = text.strip_prefix("UUID=") {
            let uuid = unquote(uuid).to_ascii_lowercase();
            // Not only RFC 4122 forms: vfat has xxxx-xxxx. Hex digits and hyphens it must be.
            return if is_hex_and_hyphens(&uuid) && (9..=36).contains(&uuid.len()) {
                Ok(Self::Uuid(uuid))
            } else {
                Err(DeviceSpecError::NotAUuid {
                    spec: text.into(),
                    expected: "UUID= and 8-4-4-4-12 hex digits",
                })
            };
        }
        if let Some(uuid) = text.strip_prefix("PARTUUID=") {
            let uuid = unquote(uuid).to_ascii_lowercase();
            return if is_hex_and_hyphens(&uuid) && matches!(uuid.len(), 11 | 36) {
                Ok(Self::PartUuid(uuid))
            } else {
                Err(DeviceSpecError::NotAUuid {
                    spec: text.into(),
                    expected: "PARTUUID= and 8-4-4-4-12 hex digits (GPT) or 8-2 (MBR)",
                })
            };
        }
        if let Some(label) = text.strip_prefix("LABEL=") {
            let label = unquote(label);
            return if (1..=255).contains(&label.len()) {
                Ok(Self::Label(label.into()))
            } else {
                Err(DeviceSpecError::Unknown(text.into()))
            };
        }
        if text.starts_with("/dev/") && text.len() > 5 && !text.split('/').any(|part| part == "..")
        {
            return Ok(Self::Path(text.into()));
        }
        Err(DeviceSpecError::Unknown(text.into()))
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

fn is_hex_and_hyphens(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && text.bytes().any(|byte| byte == b'-')
}

impl TryFrom<String> for DeviceSpec {
    type Error = DeviceSpecError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::PartUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_are_read_and_printed_alike() {
        for text in [
            "UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
            "LABEL=my root",
            "PARTUUID=deadbeef-01",
            "PARTUUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
            "/dev/mapper/root",
        ] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn upper_case_uuids_mean_the_same_device() {
        assert_eq!(
            "UUID=0B5BBD4A-6D7A-4B4B-9D5D-0F5A2D4F7B11".parse::<DeviceSpec>(),
            "UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11".parse::<DeviceSpec>()
        );
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for text in [
            "",
            "UUID=",
            "UUID=hello",
            "PARTUUID=123",
            "LABEL=",
            "sda1",
            "/etc/passwd",
            "/dev/../etc/x",
        ] {
            assert!(text.parse::<DeviceSpec>().is_err(), "{text}");
        }
    }
}
