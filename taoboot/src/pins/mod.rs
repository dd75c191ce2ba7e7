//! What the images to come pin: this TPM's storage key (`srk_name`) and the boot secret (`secret_id`).
//!
//! Enrolment leaves both in `pins.toml` beside the images' configuration, where the image builder takes
//! them. The image that runs does not have them yet: the next one does, which is another launch, so the
//! order is enroll, refresh (which approves the new launch), reboot.

pub mod image_config;
pub mod state;

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent::unlock::SealedRecord;
use anyhow::{Context as _, Result};
use storage::pins::Pins;
use tao::state_file;
use tpm::Name;

use crate::volume::root_volume;

/// The pins that the images in /boot were made with, below the root directory: the kernel hook keeps a copy.
pub const IN_PLACE: &str = "var/lib/taoboot/pins.toml";

/// The file of pins that belongs to a configuration: it lies beside it.
pub fn beside(config: &Path) -> PathBuf {
    config.with_file_name("pins.toml")
}

/// Whose pins the next images have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Those of the volume under this machine's root file system, and of no other.
    OfRoot,
    /// Of whatever volume is enrolled.
    Always,
    /// None are written.
    Never,
}

/// Writes what an enrolment pins, where images are built on this machine. Says so when it is new.
///
/// # Errors
/// The file cannot be written; an old one is there then.
pub fn write(
    config: &Path,
    volume: &Path,
    srk: &Name,
    secret: &str,
    wish: Wish,
) -> Result<Option<PathBuf>> {
    if wish == Wish::Never || !config.exists() {
        return Ok(None);
    }
    let file = beside(config);
    if wish == Wish::OfRoot && !is_root(volume) {
        eprintln!(
            "taoboot: note: {} is not the volume under this machine's root file system: what the next images pin is left as it is (--pins pins this one in {})",
            volume.display(),
            file.display()
        );
        return Ok(None);
    }
    replace(&file, srk, secret)?;
    Ok(Some(file))
}

/// The same for a record that was sealed anew, where there are pins already: after an exchange of the TPM
/// they would keep the next image from opening it.
///
/// # Errors
/// As for [`write`].
pub fn follow(file: &Path, record: &SealedRecord) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    replace(file, &record.sealed().parent, record.secret_id())
}

fn replace(file: &Path, srk: &Name, secret: &str) -> Result<()> {
    let text = Pins::text(&srk.to_string(), secret);
    // One that cannot be read is another one, and is replaced.
    if fs::read(file).is_ok_and(|present| present == text.as_bytes()) && Pins::read(file).is_ok() {
        return Ok(());
    }
    state_file::replace(file, text.as_bytes())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    eprintln!(
        "taoboot: {}: the next images pin this TPM and this secret: once the machine has unlocked itself, /usr/lib/taoboot/kernel refresh makes and approves them",
        file.display()
    );
    Ok(())
}

/// Is it the volume under the root file system? Not, where root is on none.
pub fn is_root(volume: &Path) -> bool {
    let (Ok(root), Ok(volume)) = (root_volume::named_or_root(None), fs::canonicalize(volume))
    else {
        return false;
    };
    fs::canonicalize(root).is_ok_and(|root| root == volume)
}
