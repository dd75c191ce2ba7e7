//! Writes to a LUKS2 header through libcryptsetup: keyslots and tokens, one at a time.

use std::path::{Path, PathBuf};

use libcryptsetup_rs::{
    CryptDevice, CryptInit, CryptPbkdfType, Either, LibcryptErr, TokenInput,
    consts::{
        flags::{CryptPbkdf, CryptVolumeKey},
        vals::{CryptKdf, EncryptionFormat},
    },
};
use nix::errno::Errno;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{error::EnrolmentError, pending::PendingKdf, room};
use crate::unlock::{
    cryptsetup_messages, find_records::TokenId, header::VolumeHeader, open::OpenError,
};

/// A volume's header, open for changes.
pub(crate) struct Editor {
    crypt: CryptDevice,
    device: PathBuf,
}

impl Editor {
    /// Loads the header. The caller holds the volume's lock and has checked the header.
    pub fn open(device: &Path) -> Result<Self, EnrolmentError> {
        let (result, said) = cryptsetup_messages::collect(|| {
            let mut crypt = CryptInit::init(device)?;
            crypt
                .context_handle()
                .load::<()>(Some(EncryptionFormat::Luks2), None)?;
            crypt.context_handle().volume_key_keyring(false)?;
            Ok(crypt)
        });
        match result {
            Ok(crypt) => Ok(Self {
                crypt,
                device: device.into(),
            }),
            Err(error) => Err(failed(device, "reading the LUKS2 header", &error, &said)),
        }
    }

    /// The volume key, by a passphrase of any keyslot, and which one that is. `length` in bytes.
    pub fn volume_key(
        &mut self,
        passphrase: &[u8],
        length: usize,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<u32>), EnrolmentError> {
        let mut key = Zeroizing::new(vec![0; length]);
        let (result, said) = cryptsetup_messages::collect(|| {
            self.crypt
                .volume_key_handle()
                .get(None, &mut key, Some(passphrase))
        });
        match result {
            Ok((keyslot, found)) if found == length => Ok((key, u32::try_from(keyslot).ok())),
            Ok((_, found)) => Err(EnrolmentError::Cryptsetup {
                device: self.device.clone(),
                doing: "reading the volume key",
                reason: format!("it has {found} bytes instead of {length}"),
            }),
            Err(error) if cryptsetup_messages::errno(&error) == Some(Errno::EPERM) => {
                Err(EnrolmentError::Passphrase(OpenError::WrongPassphrase {
                    device: self.device.clone(),
                    keyslot: "any keyslot".into(),
                }))
            }
            Err(error) => Err(self.failed("reading the volume key", &error, &said)),
        }
    }

    /// Adds a keyslot with exactly this number for the volume key.
    pub fn add_keyslot(
        &mut self,
        number: u32,
        volume_key: &[u8],
        passphrase: &[u8],
        kdf: PendingKdf,
    ) -> Result<(), EnrolmentError> {
        let (result, said) = cryptsetup_messages::collect(|| {
            self.crypt
                .settings_handle()
                .set_pbkdf_type(&kdf_type(kdf))?;
            self.crypt.keyslot_handle().add_by_key(
                Some(number),
                Some(Either::Left(volume_key)),
                passphrase,
                CryptVolumeKey::empty(),
            )
        });
        match result {
            Ok(_) => Ok(()),
            Err(error) if cryptsetup_messages::errno(&error) == Some(Errno::ENOSPC) => {
                Err(EnrolmentError::NoFreeKeyslot(self.device.clone()))
            }
            Err(error) => Err(self.failed("adding a keyslot", &error, &said)),
        }
    }

    /// Overwrites a keyslot's key material and removes it.
    pub fn remove_keyslot(&mut self, number: u32) -> Result<(), EnrolmentError> {
        let (result, said) =
            cryptsetup_messages::collect(|| self.crypt.keyslot_handle().destroy(number));
        result.map_err(|error| self.failed("removing a keyslot", &error, &said))
    }

    /// Adds a token.
    pub fn add_token(&mut self, json: &Value) -> Result<TokenId, EnrolmentError> {
        room::for_token(&VolumeHeader::read(&self.device)?, json, None)?;
        self.set_token("adding a token", TokenInput::AddToken(json))
    }

    /// Replaces a token in one write of the header.
    pub fn replace_token(&mut self, token: TokenId, json: &Value) -> Result<(), EnrolmentError> {
        room::for_token(&VolumeHeader::read(&self.device)?, json, Some(token.0))?;
        self.set_token(
            "writing the record",
            TokenInput::ReplaceToken(token.0, json),
        )
        .map(drop)
    }

    /// Removes a token.
    pub fn remove_token(&mut self, token: TokenId) -> Result<(), EnrolmentError> {
        self.set_token("removing a token", TokenInput::RemoveToken(token.0))
            .map(drop)
    }

    fn set_token(
        &mut self,
        doing: &'static str,
        input: TokenInput<'_>,
    ) -> Result<TokenId, EnrolmentError> {
        let (result, said) =
            cryptsetup_messages::collect(|| self.crypt.token_handle().json_set(input));
        match result {
            Ok(number) => Ok(TokenId(number)),
            Err(error) if cryptsetup_messages::errno(&error) == Some(Errno::ENOSPC) => {
                Err(EnrolmentError::HeaderFull(self.device.clone()))
            }
            Err(error) => Err(self.failed(doing, &error, &said)),
        }
    }

    fn failed(&self, doing: &'static str, error: &LibcryptErr, said: &str) -> EnrolmentError {
        failed(&self.device, doing, error, said)
    }
}

fn failed(device: &Path, doing: &'static str, error: &LibcryptErr, said: &str) -> EnrolmentError {
    let reason = cryptsetup_messages::in_words(error, said);
    EnrolmentError::Cryptsetup {
        device: device.into(),
        doing,
        reason,
    }
}

/// The derived passphrase has 256 random bits: stretching adds nothing but boot time, so
/// PBKDF2 with about the library's minimum. A recovery key gets Argon2id, as a person's
/// passphrase would, because its text may be copied by hand and shortened.
fn kdf_type(kdf: PendingKdf) -> CryptPbkdfType {
    match kdf {
        PendingKdf::Pbkdf2(iterations) => CryptPbkdfType {
            type_: CryptKdf::Pbkdf2,
            hash: Some("sha256".into()),
            time_ms: 0,
            iterations,
            max_memory_kb: 0,
            parallel_threads: 0,
            flags: CryptPbkdf::NO_BENCHMARK,
        },
        PendingKdf::Argon2id(memory) => CryptPbkdfType {
            type_: CryptKdf::Argon2Id,
            hash: Some("sha256".into()),
            time_ms: 0,
            iterations: 4,
            max_memory_kb: memory,
            parallel_threads: 1,
            flags: CryptPbkdf::NO_BENCHMARK,
        },
    }
}
