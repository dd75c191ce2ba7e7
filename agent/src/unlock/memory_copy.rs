//! A detached LUKS2 header in memory, made only of what was checked.
//!
//! libcryptsetup reads headers itself. It gets one that cannot change and says nothing we
//! did not read: the metadata is written out anew from the checked tree (so that a JSON text
//! which two parsers understand differently has one meaning), with the chosen keyslots, no
//! tokens and no persistent flags, in both copies, in a sealed memory file.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::PathBuf,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use serde_json::{Map, Value, json};

use super::{
    binary_header::{BINARY_LEN, Copy, restamp},
    header::{CheckedHeader, HeaderError},
};

/// Why no copy could be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryCopyError {
    /// The header is refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Reading a keyslot's area or writing to memory failed.
    #[error("the LUKS header could not be copied to memory: {0}")]
    Io(#[from] io::Error),
    /// None of the keyslots can be used.
    #[error("no keyslot of the volume can be used{0}")]
    NoKeyslot(String),
}

/// The detached header. It lives as long as this value.
#[derive(Debug)]
pub struct MemoryCopy {
    file: File,
}

impl MemoryCopy {
    /// Checks the header and copies it with one keyslot, or with all that pass the checks.
    pub fn new(header: &CheckedHeader, keyslot: Option<u32>) -> Result<Self, MemoryCopyError> {
        let keyslots = match keyslot {
            Some(number) => vec![number],
            None => header.usable_keyslots(),
        };
        if keyslots.is_empty() {
            return Err(MemoryCopyError::NoKeyslot(first_refusal(header)));
        }
        let name = CString::from(c"taoboot-luks-header");
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create(name.as_c_str(), flags).map_err(io::Error::from)?);
        write_copies(&file, header, &keyslots)?;
        for number in keyslots {
            let (offset, length) = header.check_keyslot(number)?;
            file.write_all_at(&header.read_area(offset, length)?, offset)?;
        }
        let seals = SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(io::Error::from)?;
        Ok(Self { file })
    }

    /// A path by which a library in this process can open it. Needs /proc.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

fn first_refusal(header: &CheckedHeader) -> String {
    header
        .metadata()
        .keyslots
        .keys()
        .find_map(|number| header.check_keyslot(*number).err())
        .map_or_else(String::new, |error| format!(": {error}"))
}

fn write_copies(
    file: &File,
    header: &CheckedHeader,
    keyslots: &[u32],
) -> Result<(), MemoryCopyError> {
    let size = header.copy_size();
    let areas = header.metadata().config.keyslots_size;
    let total = size.saturating_mul(2).saturating_add(areas);
    file.set_len(total)?;
    let text = serde_json::to_vec(&reduced(header.tree(), keyslots)).map_err(io::Error::other)?;
    let mut copy = header.copy_bytes().to_vec();
    let too_large = || io::Error::other("the metadata does not fit its area");
    let area = copy.get_mut(BINARY_LEN..).ok_or_else(too_large)?;
    area.fill(0);
    // One byte must stay for the terminating zero.
    if text.len() >= area.len() {
        return Err(too_large().into());
    }
    area.get_mut(..text.len())
        .ok_or_else(too_large)?
        .copy_from_slice(&text);
    for (which, offset) in [(Copy::Primary, 0), (Copy::Secondary, size)] {
        restamp(&mut copy, which, offset).ok_or_else(too_large)?;
        file.write_all_at(&copy, offset)?;
    }
    Ok(())
}

/// The metadata with only these keyslots, segment 0, its digest and the two sizes.
fn reduced(tree: &Value, keyslots: &[u32]) -> Value {
    let names: Vec<String> = keyslots.iter().map(u32::to_string).collect();
    let pick = |section: &str, keep: &dyn Fn(&str, &Value) -> bool| -> Map<String, Value> {
        let objects = tree.get(section).and_then(Value::as_object);
        let kept = objects
            .into_iter()
            .flatten()
            .filter(|(name, value)| keep(name, value));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let lists = |value: &Value, list: &str, name: &str| {
        let items = value.get(list).and_then(Value::as_array);
        items.is_some_and(|items| items.iter().any(|item| item == name))
    };
    let mut digests = pick("digests", &|_, digest| lists(digest, "segments", "0"));
    for digest in digests.values_mut() {
        if let Some(list) = digest.get_mut("keyslots").and_then(Value::as_array_mut) {
            list.retain(|item| {
                item.as_str()
                    .is_some_and(|name| names.iter().any(|n| n == name))
            });
        }
    }
    let config = tree.get("config");
    let sizes = |name: &str| config.and_then(|config| config.get(name)).cloned();
    json!({
        "keyslots": pick("keyslots", &|name, _| names.iter().any(|n| n == name)),
        "tokens": {},
        "segments": pick("segments", &|name, _| name == "0"),
        "digests": digests,
        "config": {
            "json_size": sizes("json_size"),
            "keyslots_size": sizes("keyslots_size"),
        },
    })
}
