//! Why a key cannot be used.

use crate::{logic::LogicError, wire::proto2::ProtoError};

/// Why a key cannot be used or a signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a public key of a supported kind.
    #[error("not a public key for P-256, P-384, P-521 or Ed25519 (DER SubjectPublicKeyInfo): {0}")]
    PublicKey(String),
    /// Not a private key of a supported kind.
    #[error("not a private key: {0}")]
    PrivateKey(String),
    /// The secret gives no key. Does not happen for secrets with any entropy.
    #[error("no P-256 key can be made from this secret")]
    Secret,
    /// The signature's envelope is malformed.
    #[error(transparent)]
    Envelope(#[from] ProtoError),
    /// The signature was made by another kind of key, or in another format.
    #[error("a signature of version {version} by a key of type {found:?}; this key is {key:?}")]
    WrongType {
        /// The header's version.
        version: i32,
        /// The header's key type.
        found: String,
        /// The key's type.
        key: &'static str,
    },
    /// Another envelope around a signature than the one that signers make.
    #[error("the signature's envelope is not of the form in which signers write it")]
    NotCanonical,
    /// The signature does not belong to these data, this context and this key.
    #[error("the signature is not this key's signature over these data")]
    Signature,
    /// The signature could not be made.
    #[error("signing failed: {0}")]
    Signing(String),
    /// The certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    /// The key cannot be named.
    #[error(transparent)]
    Name(#[from] LogicError),
}
