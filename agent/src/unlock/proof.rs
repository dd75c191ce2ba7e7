//! The proof that an opened volume is the enrolled one, by the volume's own key.
//!
//! A passphrase proves nothing: whoever puts another disk in knows a passphrase of it. The
//! escrow of a record opens under the volume's key only, and what it holds, the secret that the
//! record was made with, has a public id that the measured configuration can pin.

use sha2::{Digest, Sha256};
use tao::attestation::BootVolume;

use super::{
    find_records::find_enrolled, header::CheckedHeader, record::EnrolledRecord,
    secret::VolumeSecret,
};

/// Which volume it is.
pub struct Proof {
    /// For the boot event.
    pub volume: BootVolume,
    /// The volume secret, where a record gave it: it opens the further volumes, too.
    pub secret: Option<VolumeSecret>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proof({})", self.volume)
    }
}

/// Why a volume is not opened although the passphrase is right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// None of its records is genuine.
    #[error(
        "the passphrase is right, but nothing proves that this is the enrolled volume: the measured configuration pins the secret {pinned}, and no record of this volume opens under its key; it is not opened. If it is your volume, restore its LUKS header, or boot other media and enrol it again"
    )]
    Nothing {
        /// In the configuration.
        pinned: String,
    },
    /// It is another volume.
    #[error(
        "the passphrase is right, but this is another volume: its secret is {found}, the measured configuration pins {pinned}; it is not opened"
    )]
    Other {
        /// In the configuration.
        pinned: String,
        /// Of the volume.
        found: String,
    },
}

/// Which volume has this key. Where an id is pinned, no other volume is accepted.
pub fn prove_volume(
    header: &CheckedHeader,
    volume_key: &[u8],
    pinned: Option<&str>,
) -> Result<Proof, ProofError> {
    // One secret is kept, in place: what a growing list leaves in memory is not wiped.
    let mut proven: Option<VolumeSecret> = None;
    let mut other: Option<String> = None;
    for (_, record) in find_enrolled(header) {
        let Some(secret) = record
            .ok()
            .and_then(|record| genuine(&record, header, volume_key))
        else {
            continue;
        };
        if pinned.is_none_or(|pinned| secret.id() == pinned) {
            proven = Some(secret);
            break;
        }
        other.get_or_insert_with(|| secret.id());
    }
    match (proven, pinned, other) {
        (Some(secret), ..) => Ok(Proof {
            volume: BootVolume::Secret(secret.id_bytes()),
            secret: Some(secret),
        }),
        (None, None, _) => Ok(Proof {
            volume: BootVolume::Unproven(Sha256::digest(header.identity().canonical()).into()),
            secret: None,
        }),
        (None, Some(pinned), Some(found)) => Err(ProofError::Other {
            pinned: pinned.to_owned(),
            found,
        }),
        (None, Some(pinned), None) => Err(ProofError::Nothing {
            pinned: pinned.to_owned(),
        }),
    }
}

/// The secret of a record, if the volume's key proves it.
pub(super) fn genuine(
    record: &EnrolledRecord,
    header: &CheckedHeader,
    volume_key: &[u8],
) -> Option<VolumeSecret> {
    let escrow = record.parts().escrow.as_ref()?;
    let secret = escrow.open(volume_key, header.identity())?;
    record.verify_mac(&secret).ok()?;
    Some(secret)
}
