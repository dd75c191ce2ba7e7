//! Do the record and the images' configuration agree about a PIN?

use std::path::Path;

use agent::{config::Require, unlock::CheckedHeader};
use anyhow::{Context as _, Result, bail};

use crate::{pins::image_config, volume::records::usable};

/// A record that no image here would open is not made: without a PIN where one is required. Nor is one while
/// nobody can tell what is required.
pub fn check(config: &Path, with_pin: bool) -> Result<()> {
    let shown = config.display();
    let required = image_config::required(config)
        .with_context(|| format!("whether {shown} requires a PIN cannot be told"))?;
    let Some(required) = required else {
        return Ok(());
    };
    match (required, with_pin) {
        (Require::TpmAndPin, false) => bail!(
            "{shown} requires a PIN ([unlock] require = \"tpm+pin\"), and images made with it open no record without one: say --pin or --pin-file"
        ),
        (Require::Tpm, true) => {
            eprintln!(
                "taoboot: warning: {shown} does not require a PIN, and images made with it do not ask for one and so do not open this record: set [unlock] require = \"tpm+pin\" there, then `/usr/lib/taoboot/kernel refresh`"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Those that were enrolled earlier, for images that require none, stay as weak as they are.
pub fn say_weaker(volume: &Path, with_pin: bool) -> Result<()> {
    if !with_pin {
        return Ok(());
    }
    for (token, record) in usable(&CheckedHeader::read(volume)?) {
        if record.pin().is_none() {
            eprintln!(
                "taoboot: warning: record {token} opens the volume without a PIN: remove it with `taoboot wipe --record {token}` when nothing boots it any more; copies of the header that somebody made earlier hold it too, until the rollback counter is raised (`taoboot retire`)"
            );
        }
    }
    Ok(())
}
