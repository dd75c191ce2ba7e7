//! What goes wrong with keys and signatures.

use txt::{codec::FormatError, hash::HashAlg};

/// A key that cannot be read, or a signature that cannot be made or does not verify.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A PEM file that holds no key that can be used.
    #[error(
        "no {kind} key: expected PEM with an RSA (2048 or 3072 bits, exponent 65537), P-256, P-384 or SM2 key{hint}"
    )]
    Key {
        /// "private" or "public".
        kind: &'static str,
        /// What was found instead, when that is known.
        hint: String,
    },
    /// A key that does not go with the scheme.
    #[error("a {key} key cannot make a {scheme} signature")]
    Scheme {
        /// The key's kind.
        key: &'static str,
        /// The scheme's name.
        scheme: &'static str,
    },
    /// A hash that the scheme cannot use.
    #[error("a {scheme} signature cannot use {hash}: {expected}")]
    Hash {
        /// The scheme's name.
        scheme: &'static str,
        /// The hash that was asked for.
        hash: HashAlg,
        /// What is possible.
        expected: &'static str,
    },
    /// Private and public key do not belong together.
    #[error("the public key does not belong to the private key: give the two halves of one pair")]
    Pair,
    /// The signature is not one of this key over this list.
    #[error("the signature does not verify: list, key and signature do not belong together")]
    Mismatch,
    /// The key in a list is none: even modulus, point not on the curve.
    #[error("the list's key is not a valid {0} key")]
    ListKey(&'static str),
    /// The list is not signed.
    #[error("the list is not signed")]
    Unsigned,
    /// A signature file that is not of the expected form.
    #[error("the signature file: {0}")]
    SignatureFile(String),
    /// The library refused to sign.
    #[error("the key cannot sign: {0}")]
    Backend(String),
    /// The list's parts do not fit.
    #[error(transparent)]
    Format(#[from] FormatError),
}
