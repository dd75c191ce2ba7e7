//! Why a configuration is refused.

use super::device::DeviceSpec;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, or a value of the wrong kind or that does not fit to others.
    #[error("{origin}: {reason}")]
    Invalid {
        /// The file.
        origin: String,
        /// Line, column and what is wrong.
        reason: String,
    },
    /// A name that /dev/mapper cannot have.
    #[error(
        "{origin}: volume name {name:?} is not usable below /dev/mapper: letters, digits, - _ . and at most 100 of them"
    )]
    MapperName {
        /// The file or `kernel command line`.
        origin: String,
        /// The name that was given.
        name: String,
    },
    /// A PIN that would be typed for any TPM.
    #[error(
        "{origin}: [unlock] require = \"tpm+pin\" needs srk_name, so that the PIN is shown to no other TPM: `taoboot srk --pin` writes it"
    )]
    PinForAnyTpm {
        /// The file.
        origin: String,
    },
    /// A swap device that is searched by what a random key destroys.
    #[error(
        "{origin}: swap device {spec} is searched by content, which is new at each boot: use PARTUUID= or /dev/..."
    )]
    SwapByContent {
        /// The file.
        origin: String,
        /// The device that was given.
        spec: DeviceSpec,
    },
}

/// Refuses names that libdevmapper would mangle or that leave /dev/mapper.
pub fn check_mapper_name(name: &str, origin: &str) -> Result<(), ConfigError> {
    let usable = (1..=100).contains(&name.len())
        && name != "."
        && name != ".."
        && name != "control"
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if usable {
        Ok(())
    } else {
        Err(ConfigError::MapperName {
            origin: origin.into(),
            name: name.into(),
        })
    }
}
