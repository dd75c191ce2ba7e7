//! What the measured configuration says of the secret, and whether a released one is that.

use tpm::Name;

use super::{record::SealedRecord, secret::BootSecret, unseal_error::UnsealError};
use crate::config::Require;

/// What the measured configuration says of the secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pinned<'a> {
    /// The only storage root key it may be sealed under.
    pub srk: Option<&'a Name>,
    /// The only volume secret it may be, by [`BootSecret::id`].
    pub secret_id: Option<&'a str>,
    /// What must release it.
    pub require: Require,
}

/// Is it the secret that is pinned, and the record the one that was made with it?
pub(super) fn check_released(
    secret: &BootSecret,
    record: &SealedRecord,
    pinned: Pinned<'_>,
) -> Result<(), UnsealError> {
    if let Some(pinned) = pinned.secret_id
        && pinned != secret.id()
    {
        return Err(UnsealError::OtherSecret {
            pinned: pinned.to_owned(),
            found: secret.id(),
        });
    }
    record
        .verify_mac(secret.volume())
        .map_err(UnsealError::Record)
}
