//! The time for which an attestation is verified.

use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock shows a time that no attestation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine's clock shows a time before 1970 or after 2262")]
pub struct ClockError;

/// Now, in nanoseconds since 1970, as attestations give times.
///
/// # Errors
/// When the machine's clock shows a time before 1970 or after 2262.
pub fn now() -> Result<i64, ClockError> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| ClockError)?;
    i64::try_from(since.as_nanos()).map_err(|_| ClockError)
}
