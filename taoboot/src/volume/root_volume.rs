//! The encrypted volumes of the running machine: the one with the root file system, and those that
//! are needed beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent::unlock::{CheckedHeader, find_enrolled};
use anyhow::{Context as _, Result, bail};
use storage::{
    device_name,
    needed::{Needed, Volume, below_root, needed},
};

/// What `--volume` names, else the LUKS2 device under `/`.
pub fn named_or_root(volume: Option<&Path>) -> Result<PathBuf> {
    named_or_root_of(Path::new("/"), volume)
}

/// The same for a machine whose root file system is elsewhere.
pub fn named_or_root_of(root: &Path, volume: Option<&Path>) -> Result<PathBuf> {
    match volume {
        Some(volume) => Ok(volume.to_owned()),
        None => below_root(root)
            .map_err(Into::into)
            .and_then(|needed| under_root(root, &needed))
            .context("name the LUKS2 volume with --volume"),
    }
}

/// The volume with the root file system, and then those that are needed beside it: for the rest of
/// root, /usr, swap, and what crypttab wants opened in the initramfs.
pub fn all_needed(root: &Path) -> Result<Vec<PathBuf>> {
    let needed = needed(root)?;
    let mut volumes = vec![under_root(root, &needed)?];
    for volume in &needed.volumes {
        let device = node(root, volume)?;
        if !volumes.contains(&device) {
            volumes.push(device);
        }
    }
    Ok(volumes)
}

/// Of several volumes under root the one with the records.
fn under_root(root: &Path, needed: &Needed) -> Result<PathBuf> {
    let volumes = needed.volumes.iter().take(needed.under_root);
    let volumes: Vec<PathBuf> = volumes
        .map(|volume| node(root, volume))
        .collect::<Result<_>>()?;
    let has_records = |device: &&PathBuf| {
        CheckedHeader::read(device).is_ok_and(|header| !find_enrolled(&header).is_empty())
    };
    let enrolled: Vec<&PathBuf> = volumes.iter().filter(has_records).collect();
    match (enrolled.as_slice(), volumes.first()) {
        ([one], _) => Ok((*one).clone()),
        ([], Some(first)) => Ok(first.clone()),
        ([], None) => bail!("the root file system is not on a LUKS2 volume"),
        (several, _) => {
            let names: Vec<String> = several.iter().map(|d| d.display().to_string()).collect();
            bail!(
                "the root file system is on several volumes with records ({})",
                names.join(", ")
            )
        }
    }
}

/// Where the device is that holds the volume.
fn node(root: &Path, volume: &Volume) -> Result<PathBuf> {
    if let Some(below) = &volume.below {
        return Ok(root.join("dev").join(below));
    }
    let node = device_name::node(&volume.device)
        .with_context(|| format!("{:?} does not name a device", volume.device))?;
    let node = root.join(node.trim_start_matches('/'));
    // /dev/disk/by-uuid/... is a link to the device itself, which is how the others are named.
    fs::canonicalize(&node)
        .with_context(|| format!("{} ({}): {}", volume.name, volume.reason, node.display()))
}
