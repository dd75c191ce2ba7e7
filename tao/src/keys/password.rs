//! Files protected by a password. Ours: argon2id gives the key, XAES-256-GCM encrypts. The
//! original's (PBKDF2, 4096 rounds, eight bytes of salt for each key) can be read.

use argon2::{Algorithm, Argon2, Params, Version};
use prost::Message;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{
    crypter::{Crypter, OpenError, SealError},
    ctr_hmac::{CtrHmac, CtrHmacSuite},
    random::{RandomError, random},
};
use crate::{
    secret_bytes::{Secret, SecretBytes},
    wire::{
        key_messages::PbeData,
        proto2::{self, ProtoError},
    },
};

/// Memory (KiB) and passes of argon2id: the second recommendation of RFC 9106.
const MEMORY: u32 = 64 * 1024;
const PASSES: u8 = 3;
const LANES: u32 = 4;
/// More than this is not computed, whatever a file says.
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_ROUNDS: u32 = 10_000_000;
/// Rounds of PBKDF2 in the original's files.
const ROUNDS: u16 = 4096;
const VERSION: i32 = 3;
const CIPHER: &str = "xaes256-gcm";
const HASH: &str = "argon2id";

/// Why a file does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Not such a file.
    #[error("not a file protected by a password: {0}")]
    File(#[from] ProtoError),
    /// A cipher or a hash that is not known, or work that nobody does.
    #[error("the file is protected in a way that is not known: {0}")]
    Unknown(String),
    /// The wrong password, or a changed file.
    #[error("the password is wrong, or the file was changed")]
    Password(#[from] OpenError),
    /// The password's hash could not be computed.
    #[error("argon2id: {0}")]
    Hash(String),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The file could not be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The parameters are part of the key: they cannot be changed.
fn key(password: &[u8], salt: &[u8], memory: u32, passes: u32) -> Result<Secret, PasswordError> {
    let failed = |error: argon2::Error| PasswordError::Hash(error.to_string());
    let mut key = Secret::default();
    let params = Params::new(memory, passes, LANES, Some(key.len())).map_err(failed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut *key)
        .map_err(failed)?;
    Ok(key)
}

/// Protects `plain` with a password.
///
/// # Errors
/// When the system gives no random bytes, or not the memory that argon2id takes.
pub fn protect(password: &[u8], plain: &[u8]) -> Result<Vec<u8>, PasswordError> {
    let mut salt = vec![0; 16];
    random(&mut salt)?;
    let key = key(password, &salt, MEMORY, PASSES.into())?;
    let ciphertext =
        Crypter::new(&key).seal_with(plain.len(), |out| out.extend_from_slice(plain))?;
    Ok(PbeData {
        version: VERSION,
        cipher: CIPHER.to_owned(),
        hmac: HASH.to_owned(),
        iterations: PASSES.into(),
        iv: Vec::new(),
        ciphertext,
        salt,
        memory: Some(MEMORY),
    }
    .encode_to_vec())
}

/// The same in the original's format, which is weaker: for files that it has to read.
///
/// # Errors
/// When the system gives no random bytes.
pub fn protect_for_original(password: &[u8], plain: &[u8]) -> Result<Vec<u8>, PasswordError> {
    let mut salt = vec![0; 16];
    random(&mut salt)?;
    let suite = CtrHmacSuite::Aes128Sha256;
    let ciphertext = original_key(password, suite, &salt, ROUNDS.into())?.seal("PBEKey", plain)?;
    Ok(PbeData {
        version: 2,
        cipher: "aes128-ctr".to_owned(),
        hmac: "sha256".to_owned(),
        iterations: ROUNDS.into(),
        iv: vec![0; 16],
        ciphertext,
        salt,
        memory: None,
    }
    .encode_to_vec())
}

fn original_key(
    password: &[u8],
    suite: CtrHmacSuite,
    salt: &[u8],
    rounds: u32,
) -> Result<CtrHmac, PasswordError> {
    let unknown = || PasswordError::Unknown(format!("{} bytes of salt", salt.len()));
    let (first, rest) = salt.split_at_checked(8).ok_or_else(unknown)?;
    let (second, _) = rest.split_at_checked(8).ok_or_else(unknown)?;
    let (encryption_length, mac_length, _) = suite.lengths();
    let mut encryption = Zeroizing::new(vec![0; encryption_length]);
    let mut mac = Zeroizing::new(vec![0; mac_length]);
    for (salt, key) in [(first, &mut encryption), (second, &mut mac)] {
        match suite {
            CtrHmacSuite::Aes128Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, key);
            }
            CtrHmacSuite::Aes256Sha512 => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, key);
            }
        }
    }
    CtrHmac::new(suite, &encryption, &mac).ok_or_else(unknown)
}

/// A file's number of passes or rounds, if somebody could have meant it.
fn bounded(iterations: i32, most: u32) -> Option<u32> {
    let iterations = u32::try_from(iterations).ok();
    iterations.filter(|iterations| (1..=most).contains(iterations))
}

/// Opens a file of either format.
///
/// # Errors
/// When it is not such a file, would take too much work to open, was changed, or has another
/// password.
pub fn open(password: &[u8], file: &[u8]) -> Result<SecretBytes, PasswordError> {
    let data: PbeData = proto2::read(file)?;
    let unknown = || {
        PasswordError::Unknown(format!(
            "version {}, {} and {}, {} rounds",
            data.version, data.cipher, data.hmac, data.iterations
        ))
    };
    match (data.version, data.cipher.as_str(), data.hmac.as_str()) {
        (VERSION, CIPHER, HASH) => {
            let memory = data.memory.filter(|memory| *memory <= MOST_MEMORY);
            let passes = bounded(data.iterations, MOST_PASSES);
            let (Some(memory), Some(passes)) = (memory, passes) else {
                return Err(unknown());
            };
            let key = key(password, &data.salt, memory, passes)?;
            Ok(Crypter::new(&key).open(&data.ciphertext)?)
        }
        (2, cipher, hash) => {
            let suite = match (cipher, hash) {
                ("aes128-ctr", "sha256") => CtrHmacSuite::Aes128Sha256,
                ("aes256-ctr", "sha512") => CtrHmacSuite::Aes256Sha512,
                _ => return Err(unknown()),
            };
            let rounds = bounded(data.iterations, MOST_ROUNDS).ok_or_else(unknown)?;
            let key = original_key(password, suite, &data.salt, rounds)?;
            Ok(key.open(&data.ciphertext)?)
        }
        _ => Err(unknown()),
    }
}
