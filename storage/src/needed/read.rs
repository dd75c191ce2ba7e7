//! The files that are read.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::sys::stat::{major, minor};

use super::error::NeededError;
use crate::{
    crypttab::{self, CryptLine},
    device_name,
    device_number::Number,
    md::Candidate,
    mountinfo::{self, Mount},
    stack::{Device, Stack},
};

/// Longest table that is read.
const LONGEST: u64 = 16 << 20;

/// What the machine says of itself, beside its devices.
#[derive(Default)]
pub struct Machine {
    mounts: Vec<Mount>,
    /// The block devices that are in use as swap, with their nodes.
    pub swaps: Vec<(Number, String)>,
    /// /etc/crypttab.
    pub crypttab: Vec<CryptLine>,
    /// The volumes that the kernel's command line names, in order: UUIDs in small letters.
    pub command_line: Vec<String>,
}

impl Machine {
    /// Reads it.
    pub fn read(root: &Path) -> Result<Self, NeededError> {
        let crypttab = root.join("etc/crypttab");
        let lines = match text(&crypttab)? {
            Some(text) => crypttab::read(&text).map_err(|source| NeededError::Table {
                path: crypttab,
                source,
            })?,
            None => Vec::new(),
        };
        let mountinfo = root.join("proc/self/mountinfo");
        // Without it nothing is mounted, which is said by whoever looks for a mount.
        let mounts = text(&mountinfo)?.unwrap_or_default();
        Ok(Self {
            mounts: mountinfo::read(&mounts)?,
            swaps: swaps(root)?,
            crypttab: lines,
            command_line: volumes_of_command_line(root)?,
        })
    }

    /// Is something mounted there?
    pub fn has_mount(&self, place: &str) -> bool {
        mountinfo::at(&self.mounts, place).is_some()
    }

    /// The line of a volume: the one with its UUID, else the one with its name.
    pub fn line_of(&self, name: &str, uuid: &str) -> Option<&CryptLine> {
        let of_uuid = |line: &&CryptLine| {
            device_name::uuid(&line.device).is_some_and(|named| named.eq_ignore_ascii_case(uuid))
        };
        let mut lines = self.crypttab.iter();
        let by_uuid = lines.clone().find(of_uuid);
        by_uuid.or_else(|| lines.find(|line| line.name == name))
    }
}

/// By the superblock of a member: kernels before 6.2 do not say it.
pub fn uuid_of_array(root: &Path, stack: &Stack, array: &Device) -> Result<String, NeededError> {
    let members = array.below.iter();
    let members = members.filter_map(|number| stack.devices.get(number));
    let superblocks = members.filter_map(|member| {
        let node = root.join("dev").join(&member.name);
        // One that cannot be read is passed over: each member has the UUID.
        let mut disk = File::open(node).ok()?;
        let candidate = Candidate::read(&member.name, &mut disk).ok()?;
        candidate.superblocks.into_iter().next()
    });
    let mut uuids = superblocks.map(|superblock| superblock.array.to_string());
    uuids
        .next()
        .ok_or_else(|| NeededError::ArrayWithoutUuid(array.name.clone()))
}

/// Of /proc/swaps; a swap file is on a file system.
fn swaps(root: &Path) -> Result<Vec<(Number, String)>, NeededError> {
    let path = root.join("proc/swaps");
    // A kernel without swap has no such file.
    let text = text(&path)?.unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines().skip(1) {
        let mut fields = line.split_whitespace();
        if let (Some(node), Some("partition")) = (fields.next(), fields.next()) {
            let place = root.join(node.trim_start_matches('/'));
            let number = number(&place).map_err(|source| NeededError::Unreadable {
                path: place,
                source,
            })?;
            found.push((number, node.to_owned()));
        }
    }
    Ok(found)
}

/// The words rd.luks.uuid= and rd.luks.name= that the machine was started with.
fn volumes_of_command_line(root: &Path) -> Result<Vec<String>, NeededError> {
    // An image that is built in a chroot without /proc: nothing is named.
    let line = text(&root.join("proc/cmdline"))?.unwrap_or_default();
    let named = line.split_whitespace().filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        let value = match key {
            "rd.luks.uuid" => value,
            "rd.luks.name" => value.split_once('=')?.0,
            _ => return None,
        };
        Some(value.trim_start_matches("luks-").to_ascii_lowercase())
    });
    Ok(named.collect())
}

fn number(node: &Path) -> io::Result<Number> {
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

fn text(path: &PathBuf) -> Result<Option<String>, NeededError> {
    let unreadable = |source| NeededError::Unreadable {
        path: path.clone(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        let long = io::Error::other(format!("it has more than {LONGEST} bytes"));
        return Err(unreadable(long));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
