//! The messages in which the original keeps keys, and what is encrypted with them.

use prost::Message;

use super::{messages::CryptoHeader, proto2::Proto2};

/// A key.
#[derive(Clone, PartialEq, Message)]
pub struct CryptoKey {
    /// What kind of key.
    #[prost(message, required, tag = "1")]
    pub key_header: CryptoHeader,
    /// Its parts: SEC1 DER for a private ECDSA key; encryption and MAC key for a crypter.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub key_components: Vec<Vec<u8>>,
}

impl Proto2 for CryptoKey {
    const NAME: &'static str = "CryptoKey";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "key_header")];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] =
        &[(1, &[(1, "key_header.version")])];
}

/// The keys of a host or of a domain.
#[derive(Clone, PartialEq, Message)]
pub struct CryptoKeyset {
    /// [`CryptoKey`]s.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub keys: Vec<Vec<u8>>,
    /// X.509 certificate of the signing key, DER.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub cert: Option<Vec<u8>>,
    /// An attestation that lets the key speak for somebody.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub delegation: Option<Vec<u8>>,
    /// More certificates.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub cert_chain: Vec<Vec<u8>>,
}

impl Proto2 for CryptoKeyset {
    const NAME: &'static str = "CryptoKeyset";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// Something encrypted under a password.
#[derive(Clone, PartialEq, Message)]
pub struct PbeData {
    /// 2 in the original's files; 3 in ours.
    #[prost(int32, required, tag = "1")]
    pub version: i32,
    /// `aes128-ctr` and the like; `xaes256-gcm` in ours.
    #[prost(string, required, tag = "2")]
    pub cipher: String,
    /// `sha256` and the like; `argon2id` in ours.
    #[prost(string, required, tag = "3")]
    pub hmac: String,
    /// Rounds of the password's hash.
    #[prost(int32, required, tag = "4")]
    pub iterations: i32,
    /// Not used.
    #[prost(bytes = "vec", required, tag = "5")]
    pub iv: Vec<u8>,
    /// [`EncryptedData`]; in ours, sealed bytes.
    #[prost(bytes = "vec", required, tag = "6")]
    pub ciphertext: Vec<u8>,
    /// Salt of the password's hash.
    #[prost(bytes = "vec", required, tag = "7")]
    pub salt: Vec<u8>,
    /// Memory of the password's hash in KiB: ours only.
    #[prost(uint32, optional, tag = "8")]
    pub memory: Option<u32>,
}

impl Proto2 for PbeData {
    const NAME: &'static str = "PBEData";
    const REQUIRED: &'static [(u32, &'static str)] = &[
        (1, "version"),
        (2, "cipher"),
        (3, "hmac"),
        (4, "iterations"),
        (5, "iv"),
        (6, "ciphertext"),
        (7, "salt"),
    ];
}

/// Something encrypted and authenticated in the original's way.
#[derive(Clone, PartialEq, Message)]
pub struct EncryptedData {
    /// The key. Not authenticated.
    #[prost(message, required, tag = "1")]
    pub header: CryptoHeader,
    /// Initial counter block.
    #[prost(bytes = "vec", required, tag = "2")]
    pub iv: Vec<u8>,
    /// AES-CTR.
    #[prost(bytes = "vec", required, tag = "3")]
    pub ciphertext: Vec<u8>,
    /// HMAC over `iv` and `ciphertext`.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub mac: Option<Vec<u8>>,
}

impl Proto2 for EncryptedData {
    const NAME: &'static str = "EncryptedData";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "header"), (2, "iv"), (3, "ciphertext")];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] =
        &[(1, &[(1, "header.version")])];
}

/// Who may do what with an object of a secret store, signed by the policy key.
#[derive(Clone, PartialEq, Message)]
pub struct SecretDirective {
    /// 1: secret disclosure.
    #[prost(int32, optional, tag = "1")]
    pub r#type: Option<i32>,
    /// Binary form of `key says Read(program, [object])`.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub serialized_statement: Option<Vec<u8>>,
    /// Binary form of the signer's name.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub signer: Option<Vec<u8>>,
    /// A `SignedData`.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub signature: Option<Vec<u8>>,
    /// Certificate of a signer that is not the policy key.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub cert: Option<Vec<u8>>,
}

impl Proto2 for SecretDirective {
    const NAME: &'static str = "SecretDisclosureDirective";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}
