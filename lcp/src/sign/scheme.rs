//! Kinds of signatures, and what they are made of.

use txt::hash::HashAlg;

/// How a list is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSA PKCS#1 v1.5: lists up to version 2.1.
    Rsa,
    /// RSA PSS: lists of version 3.0.
    RsaPss,
    /// ECDSA.
    Ecdsa,
    /// SM2.
    Sm2,
}

impl Scheme {
    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::RsaPss => "rsapss",
            Self::Ecdsa => "ecdsa",
            Self::Sm2 => "sm2",
        }
    }
}

/// A text that is not a scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scheme: rsa, rsapss, ecdsa or sm2")]
pub struct SchemeError(pub String);

impl std::str::FromStr for Scheme {
    type Err = SchemeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Rsa, Self::RsaPss, Self::Ecdsa, Self::Sm2]
            .into_iter()
            .find(|scheme| scheme.name() == text)
            .ok_or_else(|| SchemeError(text.to_owned()))
    }
}

/// Bytes to be signed elsewhere, by an offline key or an HSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSign {
    /// The message; `openssl dgst -HASH -sign` takes it as it is.
    pub bytes: Vec<u8>,
    /// The hash that the signature must use.
    pub hash: HashAlg,
}
