//! Opens a further volume with the volume secret, which no person is asked for.

use std::path::PathBuf;

use super::token::{FurtherToken, find_further};
use crate::config::VolumeOption;
use crate::unlock::{
    header::CheckedHeader,
    latch::Latched,
    open::{OpenError, OpenVolume, open_volume},
    record::RecordError,
    secret::VolumeSecret,
};

/// Why a further volume is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FurtherVolumeError {
    /// Nothing says that it belongs to the machine.
    #[error(
        "{device} is not enrolled with the volume that was unlocked: `taoboot add-volume` enrols it", device = .0.display()
    )]
    NotEnrolled(PathBuf),
    /// What says so is not true.
    #[error("{device} is not opened: its token is not usable: {reason}; `taoboot add-volume` makes a new one if it is your volume", device = .device.display())]
    Token {
        /// The device.
        device: PathBuf,
        /// Why.
        reason: RecordError,
    },
    /// libcryptsetup or the kernel.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The volume's token that was made with this secret.
///
/// # Errors
/// There is none, or it does not fit the volume's header.
pub fn check_further_volume(
    header: &CheckedHeader,
    secret: &VolumeSecret,
) -> Result<FurtherToken, FurtherVolumeError> {
    let device = || header.device().to_owned();
    let mut refused = None;
    for (_, token) in find_further(header) {
        let genuine = token.and_then(|token| token.verify_mac(secret).map(|()| token));
        match genuine {
            Ok(token) => return Ok(token),
            Err(reason) => refused = Some(reason),
        }
    }
    Err(match refused {
        None => FurtherVolumeError::NotEnrolled(device()),
        Some(reason) => FurtherVolumeError::Token {
            device: device(),
            reason,
        },
    })
}

/// Opens the volume as `/dev/mapper/NAME`.
///
/// # Errors
/// It is not one that was enrolled with this secret, or it cannot be opened.
pub fn open_further_volume(
    latched: &Latched,
    header: &CheckedHeader,
    name: &str,
    secret: &VolumeSecret,
    options: &[VolumeOption],
) -> Result<OpenVolume, FurtherVolumeError> {
    let token = check_further_volume(header, secret)?;
    let keyslot = token
        .keyslot()
        .map_err(|reason| FurtherVolumeError::Token {
            device: header.device().to_owned(),
            reason,
        })?;
    let passphrase = secret.volume_passphrase(header.identity());
    Ok(open_volume(
        latched,
        header,
        name,
        &passphrase,
        keyslot,
        options,
    )?)
}
