//! The encrypted volumes of the running machine: the one with the root file system, and those that
//! are needed beside it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use agent::unlock::{CheckedHeader, find_enrolled};
use anyhow::{Context as _, Result, bail};
use nix::sys::stat::{major, minor};
use storage::{
    crypttab::{self, CryptLine, Key},
    device_name,
    device_number::Number,
    stack::{Device, Kind, Stack},
};

/// What `--volume` names, else the LUKS2 device under `/`.
pub fn named_or_root(volume: Option<&Path>) -> Result<PathBuf> {
    match volume {
        Some(volume) => Ok(volume.to_owned()),
        None => under_root(Path::new("/")).context("name the LUKS2 volume with --volume"),
    }
}

/// The volume with the root file system, and then those that are needed beside it: for the rest of
/// root, /usr, swap, and what crypttab wants opened in the initramfs.
pub fn all_needed(root: &Path) -> Result<Vec<PathBuf>> {
    let mut volumes = vec![under_root(root)?];
    let mut add = |more: Vec<PathBuf>| {
        for device in more {
            if !volumes.contains(&device) {
                volumes.push(device);
            }
        }
    };
    add(below_mount(root, "/")?);
    if mounted(root, "/usr")? {
        add(below_mount(root, "/usr")?);
    }
    for device in swap_devices(root)? {
        let stack = Stack::of_device(root, device).context("the devices below swap")?;
        add(luks2(root, &stack));
    }
    add(wanted_early(root)?);
    Ok(volumes)
}

/// Of several volumes under root the one with the records.
fn under_root(root: &Path) -> Result<PathBuf> {
    let volumes = below_mount(root, "/")?;
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

fn below_mount(root: &Path, place: &str) -> Result<Vec<PathBuf>> {
    let (_, stack) =
        Stack::of_mount(root, place).with_context(|| format!("the devices below {place}"))?;
    Ok(luks2(root, &stack))
}

/// The devices that hold the LUKS2 volumes of a stack.
fn luks2(root: &Path, stack: &Stack) -> Vec<PathBuf> {
    let is_luks2 =
        |device: &&Device| matches!(&device.kind, Kind::Crypt { format, .. } if format == "LUKS2");
    let volumes = stack.devices.values().filter(is_luks2);
    volumes
        .flat_map(|volume| &volume.below)
        .filter_map(|number| stack.devices.get(number))
        .map(|device| root.join("dev").join(&device.name))
        .collect()
}

fn mounted(root: &Path, place: &str) -> Result<bool> {
    let path = root.join("proc/self/mountinfo");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mounts = storage::mountinfo::read(&text).with_context(|| path.display().to_string())?;
    Ok(storage::mountinfo::at(&mounts, place).is_some())
}

/// The block devices that are in use as swap.
fn swap_devices(root: &Path) -> Result<Vec<Number>> {
    let path = root.join("proc/swaps");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // A kernel without swap.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let mut devices = Vec::new();
    for line in text.lines().skip(1) {
        let mut fields = line.split_whitespace();
        if let (Some(node), Some("partition")) = (fields.next(), fields.next()) {
            let node = root.join(node.trim_start_matches('/'));
            devices.push(number_of(&node).with_context(|| node.display().to_string())?);
        }
    }
    Ok(devices)
}

fn number_of(node: &Path) -> io::Result<Number> {
    let metadata = fs::metadata(node)?;
    if !metadata.file_type().is_block_device() {
        return Err(io::Error::other("it is not a block device"));
    }
    let narrow = |number: u64| u32::try_from(number).map_err(io::Error::other);
    Ok(Number {
        major: narrow(major(metadata.rdev()))?,
        minor: narrow(minor(metadata.rdev()))?,
    })
}

/// What crypttab marks with x-initrd.attach or initramfs.
fn wanted_early(root: &Path) -> Result<Vec<PathBuf>> {
    let path = root.join("etc/crypttab");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let lines = crypttab::read(&text).with_context(|| path.display().to_string())?;
    let mut devices = Vec::new();
    // A new key at each boot is no secret's.
    let enrolled = |line: &&CryptLine| line.in_initramfs() && line.key() != Key::Random;
    for line in lines.iter().filter(enrolled) {
        let at = || format!("{}, line {}", path.display(), line.number);
        let node = device_name::node(&line.device)
            .with_context(|| format!("{}: {:?} does not name a device", at(), line.device))?;
        let node = root.join(node.trim_start_matches('/'));
        // /dev/disk/by-uuid/... is a link to the device itself, which is how the others are named.
        let device =
            fs::canonicalize(&node).with_context(|| format!("{}: {}", at(), node.display()))?;
        CheckedHeader::read(&device).with_context(at)?;
        devices.push(device);
    }
    Ok(devices)
}
