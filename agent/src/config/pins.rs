//! What the configuration can pin: the boot secret, the key of the Tao host, and ACPI's tables.

use serde::Deserialize;

/// The public name of a boot secret: 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretId(String);

impl SecretId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecretId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if digits && text.len() == 32 {
            Ok(Self(text))
        } else {
            Err(format!(
                "{text:?} is not a secret_id: 32 hex digits, as `taoboot status` shows them"
            ))
        }
    }
}

/// SHA-256 of the Tao host's key: 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostKey([u8; 32]);

impl HostKey {
    /// The digest.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for HostKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        digest(&text).map(HostKey).ok_or_else(|| {
            format!(
                "{text:?} is not a host_key: 64 small hex digits, as boot_event in /run/tao/boot.json has them"
            )
        })
    }
}

/// The digest of the ACPI tables with code in them: 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AcpiPin([u8; 32]);

impl AcpiPin {
    /// The digest.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for AcpiPin {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        digest(&text).map(AcpiPin).ok_or_else(|| {
            format!(
                "{text:?} is not a digest of acpi_tables: 64 small hex digits, as acpi in /run/tao/boot.json has them"
            )
        })
    }
}

/// In its one spelling.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digest: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(digest) == text).then_some(digest)
}
