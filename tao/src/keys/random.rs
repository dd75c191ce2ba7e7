//! Random bytes from the operating system.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes from the system: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fills `bytes` with random bytes from the operating system.
///
/// # Errors
/// When the system gives none.
pub fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}
