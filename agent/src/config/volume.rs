//! The encrypted volumes as the configuration names them, and how each is mapped.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{
    device::DeviceSpec,
    error::{ConfigError, check_mapper_name},
};

/// Most volumes of a machine. Each costs a key derivation and a mapping.
pub const MAX_VOLUMES: usize = 32;

/// One encrypted volume.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeConfig {
    /// Where it is: `UUID=`, `LABEL=`, `PARTUUID=` or `/dev/...`.
    pub device: DeviceSpec,
    /// Its name below /dev/mapper. Unless given: `root` for the first volume, `luks-UUID` for the
    /// others, as systemd and dracut name them.
    #[serde(default)]
    pub name: Option<String>,
    /// How it is mapped.
    #[serde(default)]
    pub options: Vec<VolumeOption>,
    /// A further volume without which the boot stops; the first always is.
    #[serde(default)]
    pub required: bool,
}

/// What dm-crypt may do otherwise than by default, in crypttab's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeOption {
    /// Discards reach the disk; which blocks are in use is no secret then.
    Discard,
    /// Encrypt on the CPU that the request came from.
    SameCpuCrypt,
    /// Writes are not sorted by a thread of their own.
    SubmitFromCryptCpus,
    /// Reads are decrypted where they complete.
    NoReadWorkqueue,
    /// Writes are encrypted where they are made.
    NoWriteWorkqueue,
    /// No writes.
    #[serde(alias = "readonly")]
    ReadOnly,
}

/// A word that asks for something taoboot does not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an option of a volume: discard, same-cpu-crypt, submit-from-crypt-cpus, no-read-workqueue, no-write-workqueue or read-only"
)]
pub struct UnknownOption(String);

impl FromStr for VolumeOption {
    type Err = UnknownOption;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "discard" | "allow-discards" => Ok(Self::Discard),
            "same-cpu-crypt" => Ok(Self::SameCpuCrypt),
            "submit-from-crypt-cpus" => Ok(Self::SubmitFromCryptCpus),
            "no-read-workqueue" => Ok(Self::NoReadWorkqueue),
            "no-write-workqueue" => Ok(Self::NoWriteWorkqueue),
            "read-only" | "readonly" => Ok(Self::ReadOnly),
            _ => Err(UnknownOption(text.chars().take(80).collect())),
        }
    }
}

/// `[volume]` for one, `[[volume]]` for several. The first is the one with the sealed records.
pub(super) fn one_or_several<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<VolumeConfig>, D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<VolumeConfig>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("[volume], or [[volume]] for each of several")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let one = serde::de::value::MapAccessDeserializer::new(map);
            Ok(vec![VolumeConfig::deserialize(one)?])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(Visitor)
}

/// Names that /dev/mapper can have, and none twice.
pub(super) fn check(volumes: &[VolumeConfig], origin: &str) -> Result<(), ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        origin: origin.into(),
        reason,
    };
    if volumes.len() > MAX_VOLUMES {
        return Err(invalid(format!(
            "{} volumes are named, expected at most {MAX_VOLUMES}",
            volumes.len()
        )));
    }
    for (position, volume) in volumes.iter().enumerate() {
        if let Some(name) = &volume.name {
            check_mapper_name(name, origin)?;
        }
        let before = volumes.iter().take(position);
        for other in before {
            if other.device == volume.device {
                return Err(invalid(format!(
                    "the volume {} is named twice",
                    volume.device
                )));
            }
            if let (Some(name), Some(same)) = (&volume.name, &other.name)
                && name == same
            {
                return Err(invalid(format!("two volumes have the name {name:?}")));
            }
        }
    }
    Ok(())
}
