//! Which volume: a LUKS2 UUID together with how the data behind it is laid out.

use serde::{Deserialize, Serialize};

/// The identity of an encrypted volume, as far as its unauthenticated header tells.
///
/// It goes into the derivation of the volume's passphrase and into the sealed record:
/// LUKS2 itself authenticates none of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeIdentity {
    /// UUID of the LUKS2 header.
    pub uuid: String,
    /// Cipher of the data segment in dm-crypt notation (`aes-xts-plain64`).
    pub cipher: String,
    /// Length of the volume key in bytes.
    pub key_bytes: u32,
    /// Encryption sector size in bytes (512 to 4096).
    pub sector_bytes: u32,
    /// Where the data begins on the device, in bytes.
    pub offset: u64,
    /// Length of the data in bytes; `None` for "to the end of the device".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Number added to the sector number for the initialization vector, in 512-byte sectors.
    pub iv_tweak: u64,
}

impl VolumeIdentity {
    /// The one text form that key derivation uses. Version 1: never to be changed.
    pub fn canonical(&self) -> String {
        let size = self
            .size
            .map_or_else(|| "dynamic".to_owned(), |size| size.to_string());
        format!(
            "uuid={}\ncipher={}\nkey_bytes={}\nsector_bytes={}\noffset={}\nsize={}\niv_tweak={}\n",
            self.uuid,
            self.cipher,
            self.key_bytes,
            self.sector_bytes,
            self.offset,
            size,
            self.iv_tweak
        )
    }

    /// The first thing in which two identities differ, as (what, here, in `other`).
    pub fn first_difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let size = |v: &Self| {
            v.size
                .map_or_else(|| "dynamic".to_owned(), |s| s.to_string())
        };
        let fields: [(&'static str, String, String); 7] = [
            ("UUID", self.uuid.clone(), other.uuid.clone()),
            ("cipher", self.cipher.clone(), other.cipher.clone()),
            (
                "key length",
                self.key_bytes.to_string(),
                other.key_bytes.to_string(),
            ),
            (
                "sector size",
                self.sector_bytes.to_string(),
                other.sector_bytes.to_string(),
            ),
            (
                "data offset",
                self.offset.to_string(),
                other.offset.to_string(),
            ),
            ("data size", size(self), size(other)),
            (
                "IV tweak",
                self.iv_tweak.to_string(),
                other.iv_tweak.to_string(),
            ),
        ];
        fields.into_iter().find(|(_, here, there)| here != there)
    }
}
