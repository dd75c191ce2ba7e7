//! Opens a LUKS2 volume through libcryptsetup, with the checked header in memory.

use std::path::{Path, PathBuf};

use libcryptsetup_rs::{
    CryptDevice, CryptInit, Either, LibcryptErr,
    consts::{
        flags::{CryptActivate, CryptDeactivate},
        vals::EncryptionFormat,
    },
};
use nix::errno::Errno;
use zeroize::Zeroizing;

use super::{
    cipher, cryptsetup_messages,
    header::CheckedHeader,
    latch::{LatchError, Latched},
    memory_copy::{MemoryCopy, MemoryCopyError},
    proof::{Proof, ProofError, prove_volume},
};
use crate::config::VolumeOption;

/// How a volume is mapped, by the measured configuration. Flags that are stored in the header, which
/// anybody may have written, have no effect.
fn flags(options: &[VolumeOption]) -> CryptActivate {
    let flags = options.iter().map(|option| match option {
        VolumeOption::Discard => CryptActivate::ALLOW_DISCARDS,
        VolumeOption::SameCpuCrypt => CryptActivate::SAME_CPU_CRYPT,
        VolumeOption::SubmitFromCryptCpus => CryptActivate::SUBMIT_FROM_CRYPT_CPUS,
        VolumeOption::NoReadWorkqueue => CryptActivate::NO_READ_WORKQUEUE,
        VolumeOption::NoWriteWorkqueue => CryptActivate::NO_WRITE_WORKQUEUE,
        VolumeOption::ReadOnly => CryptActivate::READONLY,
    });
    flags.fold(CryptActivate::IGNORE_PERSISTENT, |all, flag| all | flag)
}

/// Why a volume was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The latch is worth nothing any more.
    #[error(transparent)]
    Latch(#[from] LatchError),
    /// The header could not be copied or was refused.
    #[error(transparent)]
    Header(#[from] MemoryCopyError),
    /// The passphrase opens none of the keyslots.
    #[error("{device}: the passphrase does not open {keyslot}", device = .device.display())]
    WrongPassphrase {
        /// The device.
        device: PathBuf,
        /// Which keyslot was tried.
        keyslot: String,
    },
    /// A passphrase is tried only on keyslots that are not marked.
    #[error("{device}: all keyslots ({keyslots}) have the priority \"ignore\", so that no passphrase is tried: `cryptsetup config --priority normal --key-slot NUMBER {device}` changes it", device = .device.display())]
    AllIgnored {
        /// The device.
        device: PathBuf,
        /// Their numbers.
        keyslots: String,
    },
    /// The mapping exists.
    #[error("/dev/mapper/{0} exists already")]
    NameInUse(String),
    /// The device is used by something else.
    #[error("{device} is in use by something else (mounted, or part of another mapping)", device = .0.display())]
    Busy(PathBuf),
    /// It is not the enrolled volume.
    #[error("{device}: {source}", device = .device.display())]
    NotEnrolled {
        /// The device.
        device: PathBuf,
        /// Why not.
        source: ProofError,
    },
    /// Another failure of libcryptsetup or the kernel.
    #[error("{device}: could not be opened: {reason}", device = .device.display())]
    Failed {
        /// The device.
        device: PathBuf,
        /// What the system and libcryptsetup said.
        reason: String,
    },
}

/// An open volume: a dm-crypt mapping.
#[derive(Debug)]
pub struct OpenVolume {
    name: String,
    keyslot: u32,
}

/// Opens the volume as `/dev/mapper/NAME` with the passphrase of one keyslot, which follows from
/// the boot secret. The passphrase of a person is for [`open_proven_volume`].
///
/// The volume key goes to dm-crypt in the mapping's table, not into a kernel keyring; flags
/// stored in the header have no effect. Needs /proc, /dev/mapper/control and dm-crypt.
pub fn open_volume(
    latched: &Latched,
    header: &CheckedHeader,
    name: &str,
    passphrase: &[u8],
    keyslot: u32,
    options: &[VolumeOption],
) -> Result<OpenVolume, OpenError> {
    latched.holds()?;
    let keyslot = activate(header, Some(name), passphrase, Some(keyslot), options)?;
    Ok(OpenVolume {
        name: name.to_owned(),
        keyslot,
    })
}

/// Opens the volume with any passphrase, after its key has proved which volume it is: where
/// `pinned` is the id of a secret, another volume is not opened at all.
pub fn open_proven_volume(
    latched: &Latched,
    header: &CheckedHeader,
    name: &str,
    passphrase: &[u8],
    pinned: Option<&str>,
    options: &[VolumeOption],
) -> Result<(OpenVolume, Proof), OpenError> {
    latched.holds()?;
    let (volume_key, keyslot, proof) = proven_key(header, passphrase, pinned)?;
    let copy = MemoryCopy::new(header, Some(keyslot))?;
    let (result, said) = cryptsetup_messages::collect(|| {
        let mut crypt = load(&copy, header.device())?;
        crypt.context_handle().volume_key_keyring(false)?;
        crypt.activate_handle().activate_by_volume_key(
            Some(name),
            Some(&volume_key),
            flags(options),
        )
    });
    result.map_err(|error| failure(&error, &said, header, Some(name), Some(keyslot)))?;
    let name = name.to_owned();
    Ok((OpenVolume { name, keyslot }, proof))
}

/// The volume key, the keyslot that the passphrase opens, and which volume it is. Maps nothing.
pub fn proven_key(
    header: &CheckedHeader,
    passphrase: &[u8],
    pinned: Option<&str>,
) -> Result<(Zeroizing<Vec<u8>>, u32, Proof), OpenError> {
    let identity = header.identity();
    refuse_ignored(header)?;
    let copy = MemoryCopy::new(header, None)?;
    let mut key = Zeroizing::new(vec![0; identity.key_bytes as usize]);
    let (result, said) = cryptsetup_messages::collect(|| {
        load(&copy, header.device())?
            .volume_key_handle()
            .get(None, &mut key, Some(passphrase))
    });
    let failed = |reason: String| OpenError::Failed {
        device: header.device().to_owned(),
        reason,
    };
    let (keyslot, length) = result.map_err(|error| failure(&error, &said, header, None, None))?;
    if length != key.len() {
        return Err(failed(format!(
            "its key has {length} bytes instead of {}",
            key.len()
        )));
    }
    let keyslot =
        u32::try_from(keyslot).map_err(|_| failed("libcryptsetup names no keyslot".into()))?;
    let proof = prove_volume(header, &key, pinned).map_err(|source| OpenError::NotEnrolled {
        device: header.device().to_owned(),
        source,
    })?;
    Ok((key, keyslot, proof))
}

/// Does the passphrase open the volume? Gives the keyslot; maps nothing, needs no device-mapper.
pub fn test_passphrase(
    header: &CheckedHeader,
    passphrase: &[u8],
    keyslot: Option<u32>,
) -> Result<u32, OpenError> {
    activate(header, None, passphrase, keyslot, &[])
}

fn activate(
    header: &CheckedHeader,
    name: Option<&str>,
    passphrase: &[u8],
    keyslot: Option<u32>,
    options: &[VolumeOption],
) -> Result<u32, OpenError> {
    if keyslot.is_none() {
        refuse_ignored(header)?;
    }
    let copy = MemoryCopy::new(header, keyslot)?;
    let (result, said) = cryptsetup_messages::collect(|| {
        let mut crypt = load(&copy, header.device())?;
        crypt.context_handle().volume_key_keyring(false)?;
        crypt
            .activate_handle()
            .activate_by_passphrase(name, keyslot, passphrase, flags(options))
    });
    result.map_err(|error| failure(&error, &said, header, name, keyslot))
}

/// libcryptsetup passes over keyslots that are marked to be ignored, and so does this, the prompt of
/// /init included: the mark is the owner's wish. The TPM's keyslot is named by its record.
pub(crate) fn refuse_ignored(header: &CheckedHeader) -> Result<(), OpenError> {
    let ignored = header.ignored_keyslots();
    if ignored.is_empty() || ignored.len() < header.usable_keyslots().len() {
        return Ok(());
    }
    Err(OpenError::AllIgnored {
        device: header.device().to_owned(),
        keyslots: listed(&ignored),
    })
}

fn listed(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}

fn load(copy: &MemoryCopy, device: &Path) -> Result<CryptDevice, LibcryptErr> {
    let mut crypt = CryptInit::init_with_data_device(Either::Right((&copy.path(), device)))?;
    crypt
        .context_handle()
        .load::<()>(Some(EncryptionFormat::Luks2), None)?;
    Ok(crypt)
}

/// What went wrong with this volume.
fn failure(
    error: &LibcryptErr,
    said: &str,
    header: &CheckedHeader,
    name: Option<&str>,
    keyslot: Option<u32>,
) -> OpenError {
    let ignored = header.ignored_keyslots();
    match explain(error, said, header.device(), name, keyslot) {
        OpenError::WrongPassphrase { device, .. } if keyslot.is_none() && !ignored.is_empty() => {
            OpenError::WrongPassphrase {
                device,
                keyslot: format!(
                    "any keyslot (except for {}, of priority \"ignore\"; `cryptsetup config --priority normal` changes it)",
                    listed(&ignored)
                ),
            }
        }
        OpenError::Failed { device, mut reason } => {
            for module in header.image_modules() {
                reason.push_str("; ");
                reason.push_str(&cipher::hint(module));
            }
            OpenError::Failed { device, reason }
        }
        error => error,
    }
}

fn explain(
    error: &LibcryptErr,
    said: &str,
    device: &Path,
    name: Option<&str>,
    keyslot: Option<u32>,
) -> OpenError {
    let device = device.to_owned();
    match (cryptsetup_messages::errno(error), name) {
        (Some(Errno::EPERM), _) => {
            let keyslot = keyslot.map_or_else(
                || "any keyslot".to_owned(),
                |number| format!("keyslot {number}"),
            );
            OpenError::WrongPassphrase { device, keyslot }
        }
        (Some(Errno::EEXIST), Some(name)) => OpenError::NameInUse(name.to_owned()),
        (Some(Errno::EBUSY), _) => OpenError::Busy(device),
        _ => OpenError::Failed {
            device,
            reason: cryptsetup_messages::in_words(error, said),
        },
    }
}

impl OpenVolume {
    /// Name of the mapping.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The block device with the decrypted data.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev/mapper").join(&self.name)
    }

    /// The keyslot that the passphrase opened.
    pub const fn keyslot(&self) -> u32 {
        self.keyslot
    }

    /// Removes the mapping; the kernel forgets the volume key.
    pub fn close(self) -> Result<(), OpenError> {
        close_mapping(&self.name)
    }
}

/// Removes a mapping by its name: for whoever has only that left.
pub(crate) fn close_mapping(name: &str) -> Result<(), OpenError> {
    let device = Path::new("/dev/mapper").join(name);
    let (result, said) = cryptsetup_messages::collect(|| {
        let mut crypt = CryptInit::init_by_name_and_header(name, None)?;
        crypt
            .activate_handle()
            .deactivate(name, CryptDeactivate::empty())
    });
    result.map_err(|error| explain(&error, &said, &device, Some(name), None))
}
