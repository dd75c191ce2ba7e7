//! The kinds of signing keys, and what is hashed and signed with each.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::wire::messages::{ContextualizedData, CryptoHeader};

/// A kind of signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA over P-256: the default, and the original's.
    P256,
    /// ECDSA over P-384.
    P384,
    /// ECDSA over P-521: only to verify what the original signed.
    P521,
    /// Ed25519. The original does not know it.
    Ed25519,
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureFormat {
    /// The original's, version 2: SHA-256 of context and data, whatever the key. The header
    /// with the key's type is not signed.
    #[default]
    Original,
    /// Ours, version 3: header, context and data are signed, each with its length, with the
    /// hash that fits the key (SHA-256, SHA-384; Ed25519 has its own).
    Strong,
}

/// The mark in front of what the strong format signs.
const STRONG_MARK: &[u8] = b"taoboot signature 3";

/// What signers call their keys in headers.
pub(super) const SIGNER_NAME: &str = "taoboot_signer";
/// The same and the original's.
const SIGNER_NAMES: [&str; 2] = [SIGNER_NAME, "Anonymous_signer"];

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Ed25519];

    /// The kind's name in headers of private keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "ecdsap256",
            Self::P384 => "ecdsap384",
            Self::P521 => "ecdsap521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The kind's name in headers of public keys and signatures.
    pub const fn public_name(self) -> &'static str {
        match self {
            Self::P256 => "ecdsap256-public",
            Self::P384 => "ecdsap384-public",
            Self::P521 => "ecdsap521-public",
            Self::Ed25519 => "ed25519-public",
        }
    }

    /// The kind with this name, as a private key has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl SignatureFormat {
    /// The header's version number.
    pub const fn version(self) -> i32 {
        match self {
            Self::Original => 2,
            Self::Strong => 3,
        }
    }

    /// The format with this version number.
    pub(super) fn from_version(version: i32) -> Option<Self> {
        [Self::Original, Self::Strong]
            .into_iter()
            .find(|format| format.version() == version)
    }

    /// Is this the header that signers write? That of the original's format is not signed: each of
    /// its fields but the key's type is the same in all of them.
    pub(super) fn writes(self, header: &CryptoHeader) -> bool {
        let constant = CryptoHeader {
            version: self.version(),
            key_name: header.key_name.clone(),
            key_epoch: Some(1),
            key_type: header.key_type.clone(),
            key_purpose: Some("signing".to_owned()),
            key_status: Some("active".to_owned()),
        };
        match self {
            Self::Original => {
                let name = header.key_name.as_deref();
                *header == constant && name.is_some_and(|name| SIGNER_NAMES.contains(&name))
            }
            Self::Strong => true,
        }
    }

    /// What is signed, before it is hashed.
    pub(super) fn message(self, header: &CryptoHeader, context: &str, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Original => ContextualizedData {
                context: context.to_owned(),
                data: data.to_vec(),
            }
            .encode_to_vec(),
            Self::Strong => {
                let header = header.encode_to_vec();
                let mut message = STRONG_MARK.to_vec();
                for part in [header.as_slice(), context.as_bytes(), data] {
                    message.extend_from_slice(&(part.len() as u64).to_be_bytes());
                    message.extend_from_slice(part);
                }
                message
            }
        }
    }

    /// The digest that ECDSA signs.
    pub(super) fn digest(self, kind: KeyKind, message: &[u8]) -> Vec<u8> {
        match (self, kind) {
            (Self::Strong, KeyKind::P384) => sha2::Sha384::digest(message).to_vec(),
            (Self::Strong, KeyKind::P521) => sha2::Sha512::digest(message).to_vec(),
            _ => Sha256::digest(message).to_vec(),
        }
    }
}
