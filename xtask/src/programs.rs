//! Programs that somebody else installs.

use anyhow::{Result, bail};

/// Is there a program of this name in the search path?
pub fn has(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
    })
}

/// Fails where it is not there, with what to do.
pub fn need(name: &str, remedy: &str) -> Result<()> {
    if !has(name) {
        bail!("{name} is not installed: {remedy}");
    }
    Ok(())
}
