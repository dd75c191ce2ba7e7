//! What the configuration can pin: the boot secret and the key of the Tao host.

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
            Ok(SecretId(text))
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
        let digest = hex::decode(&text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .filter(|digest: &[u8; 32]| hex::encode(digest) == text);
        digest.map(HostKey).ok_or_else(|| {
            format!(
                "{text:?} is not a host_key: 64 small hex digits, as boot_event in /run/tao/boot.json has them"
            )
        })
    }
}
