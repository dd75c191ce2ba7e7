//! Reads a LUKS2 header once, verifies it, and keeps the copy: nothing is looked at twice.
//!
//! A device is not trusted to give the same answer two times (it may be a disk with its own
//! ideas, or network storage): what is checked must be what is used. See also field notes on
//! check-then-open races in confidential VMs, the same attack.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Deref,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    binary_header::{self, BINARY_LEN, BinaryHeader, BinaryHeaderError, COPY_SIZES, Copy},
    cipher,
    header_check::{self, HeaderCheckError},
    identity::VolumeIdentity,
    keyslot_check,
    metadata::{Keyslot, Metadata, MetadataError},
};

/// Why a device has no usable LUKS2 header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The device cannot be read.
    #[error("{device}: cannot be read: {source}", device = .device.display())]
    Io {
        /// The device.
        device: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a block device nor a regular file.
    #[error("{device} is neither a block device nor an image file", device = .0.display())]
    NotADevice(PathBuf),
    /// LUKS1, which cryptsetup converts in place.
    #[error(
        "{device} is LUKS1, but LUKS2 is required: while it is closed (from a rescue system, where it holds root) `cryptsetup luksHeaderBackup {device} --header-backup-file FILE`, then `cryptsetup convert --type luks2 {device}`", device = .0.display()
    )]
    Luks1(PathBuf),
    /// No valid header copy.
    #[error("{device}: {reason}", device = .device.display())]
    Binary {
        /// The device.
        device: PathBuf,
        /// What is wrong with the primary copy.
        reason: BinaryHeaderError,
    },
    /// Not LUKS at all.
    #[error("{device} is not a LUKS2 volume (no LUKS signature found)", device = .0.display())]
    NotLuks(PathBuf),
    /// The JSON area.
    #[error("{device}: the LUKS2 metadata is damaged: {reason}", device = .device.display())]
    Json {
        /// The device.
        device: PathBuf,
        /// Where and how.
        reason: MetadataError,
    },
    /// The header is well-formed but not acceptable.
    #[error("{device}: {reason}", device = .device.display())]
    Refused {
        /// The device.
        device: PathBuf,
        /// The check that failed.
        reason: HeaderCheckError,
    },
}

/// The verified copy in memory of a LUKS2 header, and the device it came from.
#[derive(Debug)]
pub struct VolumeHeader {
    device: PathBuf,
    file: File,
    device_size: u64,
    binary: BinaryHeader,
    copy: Vec<u8>,
    tree: Value,
    metadata: Metadata,
}

impl VolumeHeader {
    /// Reads the header of `device` (a block device or an image file).
    ///
    /// Of two valid copies the newer wins, of one valid copy that one. Keyslot areas are
    /// read only when a keyslot is used ([`super::MemoryCopy`]).
    pub fn read(device: &Path) -> Result<Self, HeaderError> {
        let io = |source| HeaderError::Io {
            device: device.into(),
            source,
        };
        let mut file = File::open(device).map_err(io)?;
        let kind = file.metadata().map_err(io)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(HeaderError::NotADevice(device.into()));
        }
        let device_size = file.seek(SeekFrom::End(0)).map_err(io)?;
        let (binary, copy) = newest_copy(&mut file, device)?;
        let json = copy.get(BINARY_LEN..).ok_or_else(|| HeaderError::Binary {
            device: device.into(),
            reason: BinaryHeaderError::Truncated { found: copy.len() },
        })?;
        let damaged = |reason| HeaderError::Json {
            device: device.into(),
            reason,
        };
        let tree = Metadata::tree(json).map_err(damaged)?;
        let metadata = Metadata::from_tree(&tree).map_err(damaged)?;
        Ok(Self {
            device: device.into(),
            file,
            device_size,
            binary,
            copy,
            tree,
            metadata,
        })
    }

    /// The device as it was named to [`VolumeHeader::read`].
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// UUID of the volume.
    pub fn uuid(&self) -> &str {
        &self.binary.uuid
    }

    /// The header's metadata.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Everything that must hold before a key is used with this header (see the checks in
    /// `header_check.rs`).
    pub fn checked(self) -> Result<CheckedHeader, HeaderError> {
        let identity = header_check::check(
            &self.metadata,
            &self.binary.uuid,
            self.binary.copy_size,
            self.device_size,
        )
        .map_err(|reason| self.refused(reason))?;
        Ok(CheckedHeader {
            header: self,
            identity,
        })
    }

    /// The checks for one keyslot; its area as (offset, length) in bytes.
    pub(crate) fn check_keyslot(&self, number: u32) -> Result<(u64, u64), HeaderError> {
        keyslot_check::check_keyslot(&self.metadata, number, self.binary.copy_size)
            .map_err(|reason| self.refused(reason))
    }

    /// Numbers of the keyslots that a passphrase may be tried on: those that pass the checks.
    pub fn usable_keyslots(&self) -> Vec<u32> {
        let numbers = self.metadata.keyslots.keys().copied();
        numbers
            .filter(|number| self.check_keyslot(*number).is_ok())
            .collect()
    }

    /// Keyslots that are usable, but only when they are named (`cryptsetup config --priority
    /// ignore`): no passphrase of a person is tried on them.
    pub fn ignored_keyslots(&self) -> Vec<u32> {
        let mut usable = self.usable_keyslots();
        usable.retain(|number| {
            matches!(
                self.metadata.keyslots.get(number),
                Some(Keyslot::Luks2(keyslot)) if keyslot.priority == Some(0)
            )
        });
        usable
    }

    /// What an image must be built with (`taoboot-image --module`) to open this volume, beside that
    /// which every image has.
    pub fn image_modules(&self) -> Vec<&'static str> {
        let segments = self.metadata.segments.values();
        let segments = segments.map(|segment| segment.encryption.as_str());
        let keyslots = self.metadata.keyslots.values();
        let areas = keyslots.filter_map(|keyslot| match keyslot {
            Keyslot::Luks2(keyslot) => Some(keyslot.area.encryption.as_str()),
            Keyslot::Other(_) => None,
        });
        let mut modules: Vec<_> = segments.chain(areas).filter_map(cipher::module).collect();
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    /// Reads one keyslot's area from the device.
    pub(crate) fn read_area(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut area = vec![0; length];
        self.file.read_exact_at(&mut area, offset)?;
        Ok(area)
    }

    pub(crate) fn copy_bytes(&self) -> &[u8] {
        &self.copy
    }

    pub(crate) const fn tree(&self) -> &Value {
        &self.tree
    }

    pub(crate) const fn copy_size(&self) -> u64 {
        self.binary.copy_size
    }

    fn refused(&self, reason: HeaderCheckError) -> HeaderError {
        HeaderError::Refused {
            device: self.device.clone(),
            reason,
        }
    }
}

/// A header that passed the checks, and the volume that it describes: nothing is unlocked with
/// another one.
#[derive(Debug)]
pub struct CheckedHeader {
    header: VolumeHeader,
    identity: VolumeIdentity,
}

impl CheckedHeader {
    /// Reads the header of `device` and checks it.
    pub fn read(device: &Path) -> Result<Self, HeaderError> {
        VolumeHeader::read(device)?.checked()
    }

    /// The volume that the header describes.
    pub const fn identity(&self) -> &VolumeIdentity {
        &self.identity
    }
}

impl Deref for CheckedHeader {
    type Target = VolumeHeader;
    fn deref(&self) -> &VolumeHeader {
        &self.header
    }
}

/// Both copies as cryptsetup looks for them; the valid one with the higher sequence id.
fn newest_copy(file: &mut File, device: &Path) -> Result<(BinaryHeader, Vec<u8>), HeaderError> {
    let io = |source| HeaderError::Io {
        device: device.into(),
        source,
    };
    let primary = read_copy(file, Copy::Primary, 0).map_err(io)?;
    let secondary_at: Vec<u64> = match &primary {
        Ok((binary, _)) => vec![binary.copy_size],
        // LUKS1 and newer versions have the same magic: no search, nothing to find.
        Err(BinaryHeaderError::Luks1 | BinaryHeaderError::UnknownVersion(_)) => Vec::new(),
        Err(_) => COPY_SIZES.to_vec(),
    };
    let mut secondary = Err(BinaryHeaderError::NoMagic);
    for offset in secondary_at {
        secondary = read_copy(file, Copy::Secondary, offset).map_err(io)?;
        // A copy that says another size than the place where it was found is misplaced.
        if secondary
            .as_ref()
            .is_ok_and(|(binary, _)| binary.copy_size == offset)
        {
            break;
        }
        secondary = Err(BinaryHeaderError::NoMagic);
    }
    match (primary, secondary) {
        (Ok(first), Ok(second)) if second.0.sequence_id > first.0.sequence_id => Ok(second),
        (Ok(first), _) => Ok(first),
        (Err(_), Ok(second)) => Ok(second),
        (Err(BinaryHeaderError::NoMagic | BinaryHeaderError::Truncated { .. }), Err(_)) => {
            Err(HeaderError::NotLuks(device.into()))
        }
        (Err(BinaryHeaderError::Luks1), Err(_)) => Err(HeaderError::Luks1(device.into())),
        (Err(reason), Err(_)) => Err(HeaderError::Binary {
            device: device.into(),
            reason,
        }),
    }
}

type ParsedCopy = Result<(BinaryHeader, Vec<u8>), BinaryHeaderError>;

/// The outer error is the device's, the inner one the header's.
fn read_copy(file: &mut File, which: Copy, offset: u64) -> io::Result<ParsedCopy> {
    file.seek(SeekFrom::Start(offset))?;
    let mut copy = Vec::with_capacity(BINARY_LEN);
    file.by_ref()
        .take(BINARY_LEN as u64)
        .read_to_end(&mut copy)?;
    let size = match binary_header::copy_size(&copy, which) {
        Ok(size) => size,
        Err(error) => return Ok(Err(error)),
    };
    file.by_ref()
        .take(size.saturating_sub(BINARY_LEN as u64))
        .read_to_end(&mut copy)?;
    Ok(BinaryHeader::parse(&copy, which, offset).map(|binary| (binary, copy)))
}
