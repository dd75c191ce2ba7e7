//! Which partition becomes swap with a fresh random key at each boot.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// The swap partition as it is written in the sealed record: `PARTUUID=...` or `/dev/...`.
///
/// A file system UUID or LABEL cannot name it: under a random key there is none to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SwapSpec {
    /// `PARTUUID=`, lower case: a GPT partition UUID, or an MBR disk id and number.
    PartUuid(String),
    /// A device node below /dev.
    Device(PathBuf),
}

/// Not a swap partition's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapSpecError {
    /// `UUID=` or `LABEL=`.
    #[error(
        "{0:?} cannot name a swap with a random key, which has neither UUID nor label: use PARTUUID=... or /dev/..."
    )]
    NeedsSignature(String),
    /// Anything else.
    #[error("{0:?} is not a swap partition: expected PARTUUID=<partition UUID> or /dev/<node>")]
    Syntax(String),
}

impl FromStr for SwapSpec {
    type Err = SwapSpecError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || SwapSpecError::Syntax(text.chars().take(80).collect());
        if let Some(uuid) = text.strip_prefix("PARTUUID=") {
            let plausible = (5..=36).contains(&uuid.len())
                && uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            return plausible
                .then(|| Self::PartUuid(uuid.to_ascii_lowercase()))
                .ok_or_else(syntax);
        }
        if text.starts_with("UUID=") || text.starts_with("LABEL=") {
            return Err(SwapSpecError::NeedsSignature(
                text.chars().take(80).collect(),
            ));
        }
        let node = text.strip_prefix("/dev/").ok_or_else(syntax)?;
        let plausible = (1..=200).contains(&node.len())
            && node
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
            && node.chars().all(|c| c.is_ascii_graphic());
        plausible
            .then(|| Self::Device(PathBuf::from(text)))
            .ok_or_else(syntax)
    }
}

impl TryFrom<String> for SwapSpec {
    type Error = SwapSpecError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SwapSpec> for String {
    fn from(spec: SwapSpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for SwapSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::Device(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_uuid_and_device_nodes_are_accepted_and_print_back() {
        for text in [
            "PARTUUID=0a1b2c3d-0000-4000-8000-000000000001",
            "PARTUUID=deadbeef-02",
            "/dev/sda2",
            "/dev/disk/by-partlabel/swap",
        ] {
            assert_eq!(text.parse::<SwapSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_a_random_key_swap_does_not_have_is_refused_with_the_reason() {
        assert!(matches!(
            "UUID=1".parse::<SwapSpec>(),
            Err(SwapSpecError::NeedsSignature(_))
        ));
        for text in [
            "",
            "sda2",
            "/dev/",
            "/dev/../etc/passwd",
            "/dev/a\nb",
            "PARTUUID=",
            "PARTUUID=xyzzyx",
        ] {
            assert!(
                matches!(text.parse::<SwapSpec>(), Err(SwapSpecError::Syntax(_))),
                "{text:?}"
            );
        }
    }
}
