//! Files, read and written as a whole.

use std::path::Path;

use anyhow::{Result, bail};
use commands::file;

/// Reads a file; an empty one is refused, as the originals do.
///
/// # Errors
/// The file cannot be read, is too long for what these tools read, or empty.
pub fn read(path: &str) -> Result<Vec<u8>> {
    let bytes = file::read(Path::new(path))?;
    if bytes.is_empty() {
        bail!("{path} is empty");
    }
    Ok(bytes)
}

/// Replaces a file.
///
/// # Errors
/// The system refuses.
pub fn write(path: &str, bytes: &[u8]) -> Result<()> {
    file::replace(Path::new(path), bytes)
}
