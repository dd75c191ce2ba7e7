//! The secret that the images in /boot pin must keep a record: without one they refuse every passphrase and
//! the recovery key as well, since nothing proves that the volume is the enrolled one.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use storage::pins::{Pins, given_secret};

use super::{IN_PLACE, beside, image_config};

/// The secrets that the images in place pin, as far as can be seen: what enrolment pinned in them, and what
/// the administrator pinned in their configuration.
///
/// # Errors
/// It cannot be told.
pub fn secrets(config: &Path, root: &Path) -> Result<Vec<String>> {
    let kept =
        Pins::read(&root.join(IN_PLACE)).context("what the images in /boot pin is unknown")?;
    let given = match image_config::read(config)? {
        Some(next) => given_secret(&next.given, &config.display().to_string())?,
        None => None,
    };
    let kept = kept.and_then(|kept| kept.get("secret_id").map(str::to_owned));
    let mut secrets: Vec<String> = kept.into_iter().chain(given).collect();
    secrets.dedup();
    Ok(secrets)
}

/// Refuses where one of the pinned secrets loses its last record.
///
/// # Errors
/// It does, or what is pinned cannot be told.
pub fn keep(
    volume: &Path,
    config: &Path,
    root: &Path,
    ends: impl Fn(&str) -> Result<bool>,
) -> Result<()> {
    for secret in secrets(config, root)? {
        if ends(&secret)? {
            bail!(
                "{}: its last record of the secret {secret} would go, which the images in /boot pin: they would then refuse the right passphrase and the recovery key, too; remove {} and any secret_id in {}, run `/usr/lib/taoboot/kernel refresh`, reboot, and say this again",
                volume.display(),
                beside(config).display(),
                config.display()
            );
        }
    }
    Ok(())
}
