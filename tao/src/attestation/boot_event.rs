//! What a boot says of itself in PCR 15: how its volume was opened, which volume it is, which
//! key the Tao host signs with, and which code the kernel was given in ACPI's tables.
//!
//! Whoever can open the TPM can have it quote PCR 17-19, over any statement. So /init extends
//! PCR 15 with the latch and then, before it mounts anything, with this event; a quote over
//! PCR 15 speaks for the key in the event and for no other.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256, Sha384};

use crate::logic::{LogicError, Prin, SubPrin, Term};

/// Number of the register.
pub const BOOT_PCR: u8 = 15;

/// What the register is extended with first: the latch, so that the TPM releases nothing more.
pub const LATCH_EVENT: &[u8] = b"taoboot latch 1";

/// What every event begins with; the number is the version of its form.
const HEAD: &str = "taoboot boot 2";
/// The longest event has some 260 bytes.
const MAX_TEXT: usize = 384;

/// What opened the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The secret that the TPM released.
    Tpm,
    /// A passphrase in a keyslot that the header marks as a recovery key's. Nothing
    /// authenticates the mark.
    RecoveryKey,
    /// Another passphrase.
    Passphrase,
}

impl Opened {
    /// As in the event.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::RecoveryKey => "recovery-key",
            Self::Passphrase => "passphrase",
        }
    }
}

impl FromStr for Opened {
    type Err = BootEventError;

    fn from_str(text: &str) -> Result<Self, BootEventError> {
        [Self::Tpm, Self::RecoveryKey, Self::Passphrase]
            .into_iter()
            .find(|opened| opened.word() == text)
            .ok_or(BootEventError::Field("opened"))
    }
}

/// Which volume was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootVolume {
    /// The one with this secret, by its public id: the TPM released the secret, or the
    /// volume's own key decrypted it.
    Secret([u8; 16]),
    /// Nobody knows; SHA-256 of how the volume describes itself.
    Unproven([u8; 32]),
}

impl fmt::Display for BootVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(id) => write!(f, "secret:{}", hex::encode(id)),
            Self::Unproven(digest) => write!(f, "unproven:{}", hex::encode(digest)),
        }
    }
}

impl FromStr for BootVolume {
    type Err = BootEventError;

    fn from_str(text: &str) -> Result<Self, BootEventError> {
        let volume = match text.split_once(':') {
            Some(("secret", id)) => bytes(id).map(BootVolume::Secret),
            Some(("unproven", digest)) => bytes(digest).map(BootVolume::Unproven),
            _ => None,
        };
        volume.ok_or(BootEventError::Field("volume"))
    }
}

/// Which ACPI tables with code in them the kernel had when /init began. They are not measured by the
/// launch; code in them that wants to hide can (SECURITY.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiTables {
    /// Their digest, as /init computes it.
    Digest([u8; 32]),
    /// The kernel has none.
    None,
    /// They could not be read.
    Unknown,
}

impl fmt::Display for AcpiTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => f.write_str(&hex::encode(digest)),
            Self::None => f.write_str("none"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for AcpiTables {
    type Err = BootEventError;

    fn from_str(text: &str) -> Result<Self, BootEventError> {
        match text {
            "none" => Ok(Self::None),
            "unknown" => Ok(Self::Unknown),
            digest => bytes(digest)
                .map(AcpiTables::Digest)
                .ok_or(BootEventError::Field("acpi")),
        }
    }
}

/// The event. Its text is one line with one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEvent {
    /// What opened the volume.
    pub opened: Opened,
    /// Which volume.
    pub volume: BootVolume,
    /// SHA-256 of the DER SubjectPublicKeyInfo of the key that the Tao host signs with; `None`
    /// where no host is started.
    pub host_key: Option<[u8; 32]>,
    /// Which code the kernel was given by the firmware, or by whoever gave it tables.
    pub acpi: AcpiTables,
}

/// Why a text is not a boot event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootEventError {
    /// Not the line that it should be.
    #[error(
        "a boot event has the form '{HEAD} opened=HOW volume=WHICH host-key=DIGEST acpi=DIGEST'; this has not"
    )]
    Form,
    /// One of its fields.
    #[error("the boot event's field {0} has an unknown value")]
    Field(&'static str),
    /// A bank in which its register cannot be computed.
    #[error("a boot event has no value in a bank of {0} bytes; SHA-256 and SHA-384 do")]
    Bank(usize),
}

impl fmt::Display for BootEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host_key = self.host_key.map_or_else(|| "none".to_owned(), hex::encode);
        write!(
            f,
            "{HEAD} opened={} volume={} host-key={host_key} acpi={}",
            self.opened.word(),
            self.volume,
            self.acpi
        )
    }
}

impl FromStr for BootEvent {
    type Err = BootEventError;

    fn from_str(text: &str) -> Result<Self, BootEventError> {
        let fields = Some(text)
            .filter(|text| text.len() <= MAX_TEXT)
            .and_then(|text| text.strip_prefix(HEAD)?.strip_prefix(" opened="))
            .and_then(|rest| rest.split_once(" volume="))
            .and_then(|(opened, rest)| Some((opened, rest.split_once(" host-key=")?)))
            .and_then(|(opened, (volume, rest))| {
                Some((opened, volume, rest.split_once(" acpi=")?))
            });
        let Some((opened, volume, (host_key, acpi))) = fields else {
            return Err(BootEventError::Form);
        };
        let host_key = match host_key {
            "none" => None,
            digest => Some(bytes(digest).ok_or(BootEventError::Field("host-key"))?),
        };
        let event = Self {
            opened: opened.parse()?,
            volume: volume.parse()?,
            host_key,
            acpi: acpi.parse()?,
        };
        // Capital digits would be another text with the same meaning.
        if event.to_string() == text {
            Ok(event)
        } else {
            Err(BootEventError::Form)
        }
    }
}

impl BootEvent {
    /// What PCR 15 holds after the latch and this event, in a bank of digests of this length.
    ///
    /// # Errors
    /// When there is no bank that is trusted with digests of this length.
    pub fn register(&self, digest_len: usize) -> Result<Vec<u8>, BootEventError> {
        let text = self.to_string();
        let events = [LATCH_EVENT, text.as_bytes()];
        match digest_len {
            32 => Ok(extended::<Sha256>(&events)),
            48 => Ok(extended::<Sha384>(&events)),
            other => Err(BootEventError::Bank(other)),
        }
    }

    /// The principal that the host's key is.
    ///
    /// # Errors
    /// None: `key` is the kind of a principal.
    pub fn host_key_name(&self) -> Result<Option<Prin>, LogicError> {
        let name = |digest: [u8; 32]| {
            Ok(Prin {
                kind: crate::logic::Keyword::new("key")?,
                id: Term::Bytes(digest.to_vec().into()),
                ext: SubPrin::default(),
            })
        };
        self.host_key.map(name).transpose()
    }
}

/// A register after these events, from its reset state on.
fn extended<D: Digest>(events: &[&[u8]]) -> Vec<u8> {
    let reset = vec![0; <D as Digest>::output_size()];
    events.iter().fold(reset, |value, event| {
        let mut next = D::new();
        next.update(&value);
        next.update(D::digest(event));
        next.finalize().to_vec()
    })
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes)
        .is_ok()
        .then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> BootEvent {
        BootEvent {
            opened: Opened::Tpm,
            volume: BootVolume::Secret([0xab; 16]),
            host_key: Some([0xcd; 32]),
            acpi: AcpiTables::Digest([0x12; 32]),
        }
    }

    #[test]
    fn the_text_and_the_register_do_not_change_between_versions() {
        let text = format!(
            "taoboot boot 2 opened=tpm volume=secret:{} host-key={} acpi={}",
            "ab".repeat(16),
            "cd".repeat(32),
            "12".repeat(32)
        );
        assert_eq!(event().to_string(), text);
        // Computed with Python's hashlib.
        assert_eq!(hex::encode(event().register(32).unwrap()), REGISTER_SHA256);
        assert_eq!(event().register(48).unwrap().len(), 48);
        assert_eq!(event().register(20), Err(BootEventError::Bank(20)));
    }

    const REGISTER_SHA256: &str =
        "83466bec0fa186193bdb614aa85f4975a10885a33db8ce49dd636c2496e4ddc1";

    #[test]
    fn every_event_reads_back_and_has_one_spelling() {
        for opened in [Opened::Tpm, Opened::RecoveryKey, Opened::Passphrase] {
            for volume in [
                BootVolume::Secret([1; 16]),
                BootVolume::Unproven([0xef; 32]),
            ] {
                for host_key in [None, Some([0xfe; 32])] {
                    for acpi in [
                        AcpiTables::Digest([0x34; 32]),
                        AcpiTables::None,
                        AcpiTables::Unknown,
                    ] {
                        let event = BootEvent {
                            opened,
                            volume,
                            host_key,
                            acpi,
                        };
                        let text = event.to_string();
                        assert!(text.len() <= MAX_TEXT);
                        assert_eq!(text.parse(), Ok(event));
                    }
                }
            }
        }
        let text = event().to_string();
        for other in [
            text.to_uppercase(),
            text.replace("abab", "ABAB"),
            text.replace("boot 2", "boot 1"),
            text.replace("acpi=12", "acpi="),
            text.replace(" acpi", "  acpi"),
            text.replace("opened=tpm", "opened=magic"),
            text.replace("secret:ab", "secret:"),
            format!("{text} "),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace(" volume", "  volume"),
            String::new(),
        ] {
            assert!(other.parse::<BootEvent>().is_err(), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_text_is_another_event_or_none(
            position in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f
        ) {
            let mut text = event().to_string().into_bytes();
            let position = position.index(text.len());
            prop_assume!(text[position] != byte);
            text[position] = byte;
            let text = String::from_utf8(text).unwrap();
            if let Ok(read) = text.parse::<BootEvent>() {
                prop_assert_ne!(read.register(32), event().register(32));
                prop_assert_ne!(read, event());
            }
        }
    }
}
