//! Why a volume was not changed, or not completely.

use std::{io, path::PathBuf};

use tpm::{Name, TpmError};

use crate::unlock::{
    header::HeaderError, open::OpenError, pin::PinError, pin_seal::PinSealError,
    record::RecordError, secret::SecretError,
};

/// Why a volume was not changed, or not completely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The header cannot be read or is refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The device cannot be written.
    #[error("{device}: cannot be opened for writing: {source}", device = .device.display())]
    NotWritable {
        /// The device.
        device: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds a lock.
    #[error("{device} is busy: another program (cryptsetup, taoboot, a virtual machine) has locked it; try again when it has finished", device = .0.display())]
    Busy(PathBuf),
    /// The existing passphrase is wrong.
    #[error(transparent)]
    Passphrase(OpenError),
    /// All 32 keyslots or the keyslots area are taken.
    #[error("{device}: all keyslots are taken: remove one with `taoboot wipe` or `cryptsetup luksKillSlot`", device = .0.display())]
    NoFreeKeyslot(PathBuf),
    /// The area for the keyslots' key material is too small.
    #[error("{device}: the keyslots area of {size} bytes has no room for another keyslot of {needed} bytes: remove a keyslot with `cryptsetup luksKillSlot`; a volume formatted with a larger --luks2-keyslots-size has more room", device = .device.display())]
    KeyslotAreaFull {
        /// The device.
        device: PathBuf,
        /// For a keyslot.
        needed: u64,
        /// Of the whole area.
        size: u64,
    },
    /// All 32 tokens are taken.
    #[error("{device}: all 32 tokens of the LUKS2 header are taken: remove those that nothing needs with `taoboot wipe` (records) or `cryptsetup token remove --token-id NUMBER` (others; `cryptsetup luksDump` lists them)", device = .0.display())]
    TokensFull(PathBuf),
    /// The header's JSON area (12 KiB by default) takes some eight records.
    #[error("{device}: the LUKS2 header has no room for another record: remove those that nothing boots any more with `taoboot reseal --keep 0` or `taoboot wipe`, or tokens of others with `cryptsetup token remove`; a volume formatted with --luks2-metadata-size has more room", device = .0.display())]
    HeaderFull(PathBuf),
    /// The TPM failed.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// Another TPM than the one that it is meant for.
    #[error(
        "the TPM that answers has the storage root key {present}, but {expected} is the one that is known: nothing was sealed; if the TPM was exchanged or cleared, `taoboot enroll --new-tpm` takes the one that is there"
    )]
    OtherTpm {
        /// Of the TPM.
        present: Name,
        /// Of the images' configuration or of the genuine records.
        expected: Name,
    },
    /// No boot secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Nothing could be put under the PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A second record would have another host secret than the first.
    #[error(
        "{device} is enrolled already, and the Tao host's secret is known to the TPM and the resident agent only: on the running machine `taoboot reseal` approves another launch and keeps it; use --new-host-secret to make a new one: hosted programs then lose what they sealed, and those who verify the host's attestations see a new key", device = .0.display()
    )]
    HostSecretUnknown(PathBuf),
    /// The new record would be weaker than those that there are.
    #[error(
        "the records of {device} ask for a PIN, and one of the same secret without would make it worth nothing: give one with --pin or --pin-file, or make a new secret with `taoboot enroll --new-secret`", device = .0.display()
    )]
    PinNeeded(PathBuf),
    /// There is no secret that could open further volumes.
    #[error("{device} has no taoboot record that its key proves to be genuine, so there is no secret to enrol another volume with: enrol it first with `taoboot enroll`", device = .0.display())]
    NoSecret(PathBuf),
    /// The volume with the records needs no token of this kind.
    #[error("{device} is the volume with the records itself", device = .0.display())]
    SameVolume(PathBuf),
    /// It is enrolled by itself.
    #[error("{device} has taoboot records of its own: `taoboot wipe --all` removes them if it is to be opened with another volume's secret", device = .0.display())]
    HasRecords(PathBuf),
    /// The record cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// libcryptsetup failed.
    #[error("{device}: {doing} failed: {reason}", device = .device.display())]
    Cryptsetup {
        /// The device.
        device: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the library said.
        reason: String,
    },
    /// Reading back what was written gave something else.
    #[error("{device}: what was written cannot be read back ({reason}): check the disk, and enrol again", device = .device.display())]
    NotVerified {
        /// The device.
        device: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The recovery key could not be shown to its owner; it was removed again.
    #[error("the recovery key could not be handed out, so it was removed again: {0}")]
    RecoveryKeyNotShown(io::Error),
    /// Wiping would lock the owner out.
    #[error("{device}: this would leave no other keyslot, and the data could never be read again: add a passphrase with `cryptsetup luksAddKey`, or say --force", device = .0.display())]
    LastKeyslot(PathBuf),
    /// Wiping by kind would lock the owner out.
    #[error("{device}: what remained would not open the volume without this machine: keep a password or a recovery key, or add one first with `cryptsetup luksAddKey`; nothing was removed", device = .0.display())]
    LastWayIn(PathBuf),
    /// There is nothing to wipe.
    #[error("{device} has nothing of the kind {kinds}; `taoboot list` shows what is enrolled", device = .device.display())]
    NoneOfKind {
        /// The device.
        device: PathBuf,
        /// What was asked for.
        kinds: String,
    },
    /// There is no such record.
    #[error("{device} has no taoboot record {number}; `taoboot status` lists them", device = .device.display())]
    NoSuchRecord {
        /// The device.
        device: PathBuf,
        /// The number asked for.
        number: u32,
    },
}

impl From<PinSealError> for EnrolmentError {
    fn from(error: PinSealError) -> Self {
        match error {
            PinSealError::Pin(error) => error.into(),
            PinSealError::Tpm(TpmError::WrongSrk { expected, found }) => Self::OtherTpm {
                present: found,
                expected,
            },
            PinSealError::Tpm(error) => error.into(),
        }
    }
}
