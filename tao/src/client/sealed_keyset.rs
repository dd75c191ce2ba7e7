//! A program's keys in a file that its host has sealed for it (policy self), as the original
//! keeps them: `sealed_keyset` in a directory. A program of either kind reads what the other
//! wrote, if it is the same program on the same host.

use std::{
    io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{calls::SealPolicy, error::CallError, parent::Parent};
use crate::state_file;
use crate::{
    keys::{
        CtrHmac, CtrHmacSuite, Deriver, KeyError, KeyKind, Keyset, KeysetError, RandomError,
        Secret, SignatureFormat, Signer, random,
    },
    logic::{Form, Speaksfor},
};

/// The file's name in its directory.
pub const FILE: &str = "sealed_keyset";
/// Largest file.
const MAX_FILE: u64 = 1 << 20;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedKeysetError {
    /// The host refused, or there is none.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was sealed for more programs than this one.
    #[error("{path} is sealed with the policy {policy}, not for this program alone (self): somebody else may have made it", path = path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Its policy.
        policy: &'static str,
    },
    /// Not keys.
    #[error("{path}: {source}", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeysetError,
    },
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> SealedKeysetError {
    let path = path.to_owned();
    move |source| SealedKeysetError::File { path, source }
}

/// Reads the keys in a directory; `None` if there are none yet.
///
/// # Errors
/// When the file cannot be read, or was sealed for another program.
pub fn read(parent: &Parent, dir: &Path) -> Result<Option<Keyset>, SealedKeysetError> {
    let path = dir.join(FILE);
    let Some(sealed) = state_file::read(&path, MAX_FILE).map_err(file_error(&path))? else {
        return Ok(None);
    };
    let (keys, policy) = parent.unseal(&sealed)?;
    if policy != SealPolicy::Own {
        let policy = policy.as_str();
        return Err(SealedKeysetError::Policy { path, policy });
    }
    Keyset::decode(&keys)
        .map(Some)
        .map_err(|source| SealedKeysetError::Keys { path, source })
}

/// Has the host seal the keys, and puts them in place of the old ones.
///
/// # Errors
/// When the host does not seal the keys, or the file cannot be written.
pub fn write(parent: &Parent, dir: &Path, keys: &Keyset) -> Result<(), SealedKeysetError> {
    let path = dir.join(FILE);
    let sealed = parent.seal(&keys.encode()?, SealPolicy::Own)?;
    state_file::replace(&path, &sealed).map_err(file_error(&path))
}

/// Reads the keys in a directory, or makes some: to sign (the host lets the key speak for the
/// program), to encrypt and to derive.
///
/// # Errors
/// Those of [`read`] and [`write`].
pub fn read_or_make(parent: &Parent, dir: &Path) -> Result<Keyset, SealedKeysetError> {
    if let Some(keys) = read(parent, dir)? {
        return Ok(keys);
    }
    let signer = Signer::generate(KeyKind::P256)?;
    let statement = Form::Speaksfor(Speaksfor {
        delegate: signer.name().clone().into(),
        delegator: parent.tao_name()?.into(),
    });
    // In the format that the original can check.
    let format = SignatureFormat::Original;
    let delegation = parent.attest_as(format, None, None, None, &statement)?;
    let mut secret: Secret = Zeroizing::default();
    random(&mut *secret)?;
    let keys = Keyset {
        signer: Some(signer),
        crypter: Some(CtrHmac::generate(CtrHmacSuite::Aes128Sha256)?),
        deriver: Some(Deriver::new(secret)),
        certificate: None,
        delegation: Some(delegation),
    };
    write(parent, dir, &keys)?;
    Ok(keys)
}
