//! What the images to come pin: this TPM's storage key (`srk_name`) and the boot secret (`secret_id`).
//!
//! Enrolment leaves both in `pins.toml` beside the images' configuration, where the image builder takes
//! them. The image that runs does not have them yet: the next one does, which is another launch, so the
//! order is enroll, refresh (which approves the new launch), reboot.

pub mod image_config;
pub mod in_use;
pub mod state;

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent::unlock::SealedRecord;
use anyhow::{Context as _, Result, bail};
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

/// Refuses another secret than the one that is pinned: whoever made a new one and pinned it does not want the
/// images to come to believe the old one. `sealed` is the secret that records are made of, if there is one yet.
///
/// # Errors
/// It is another, or the file cannot be read.
pub fn check_secret(file: &Path, sealed: Option<&str>) -> Result<()> {
    let Some(pins) = Pins::read(file)? else {
        return Ok(());
    };
    match (pins.get("secret_id"), sealed) {
        (Some(pinned), Some(sealed)) if pinned != sealed => bail!(
            "{} pins the secret {pinned} for the next images, and what would be sealed is {sealed}: boot a launch that is enrolled with {pinned} and run this again there, or remove {0} if {sealed} is to stay",
            file.display()
        ),
        (Some(pinned), None) => bail!(
            "{} pins the secret {pinned} for the next images, and the volume's key proves no record of it, so that a new secret would be sealed: remove {0} and any secret_id in the images' configuration first",
            file.display()
        ),
        _ => Ok(()),
    }
}

/// The same as [`write`] for a record that was sealed anew, where there are pins already: after an exchange of
/// the TPM they would keep the next image from opening it. The secret stays the pinned one.
///
/// # Errors
/// As for [`write`] and [`check_secret`].
pub fn follow(file: &Path, record: &SealedRecord) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    check_secret(file, Some(record.secret_id()))?;
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
