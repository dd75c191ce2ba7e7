//! The swap partition given at enrolment: found, named by PARTUUID, and not in other use.

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent::{boot::swap::content, unlock::SwapSpec};
use anyhow::{Result, bail};

const BY_PARTUUID: &str = "/dev/disk/by-partuuid";

/// Turns a device node into a PARTUUID where one is known, and refuses a device that holds
/// the volume itself, or anything else but swap: at each boot it is overwritten.
pub fn resolve(spec: SwapSpec, volume: &Path) -> Result<SwapSpec> {
    let node = match &spec {
        SwapSpec::Device(path) => path.clone(),
        SwapSpec::PartUuid(uuid) => Path::new(BY_PARTUUID).join(uuid),
    };
    let Ok(real) = fs::canonicalize(&node) else {
        // Enrolling for another machine: the device is not here to be looked at.
        return Ok(spec);
    };
    if fs::canonicalize(volume).is_ok_and(|volume| volume == real) {
        bail!("{spec} is the volume itself: as swap it would be overwritten at each boot");
    }
    if let Err(reason) = content::check(&real) {
        let real = real.display();
        bail!(
            "{spec}: {reason}; as swap it would be overwritten at each boot; if that is meant, make it swap first with `mkswap --force {real}`"
        );
    }
    Ok(part_uuid(&real).unwrap_or(spec))
}

fn part_uuid(real: &Path) -> Option<SwapSpec> {
    let entries = fs::read_dir(BY_PARTUUID).ok()?;
    let names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let link = names
        .into_iter()
        .find(|link| fs::canonicalize(link).is_ok_and(|to| to == real))?;
    format!("PARTUUID={}", link.file_name()?.to_str()?)
        .parse()
        .ok()
}
