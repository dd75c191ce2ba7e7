//! A btrfs root on several of the opened volumes: the kernel is told of exactly those.
//!
//! btrfs mounts what has been announced to it. Nothing but the volumes that this boot opened is
//! announced, so that a disk with a copy of the file system's UUID has no part in it.

mod scan;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use storage::btrfs::{Candidate, MembersError, Superblock, SuperblockError, members};

/// Why root is not mounted from several volumes.
#[derive(Debug, thiserror::Error)]
pub(super) enum BtrfsError {
    /// One cannot be opened.
    #[error("{device} cannot be read: {source}")]
    Unreadable { device: String, source: io::Error },
    /// Its superblock.
    #[error("{device}: {source}")]
    Superblock {
        device: String,
        source: SuperblockError,
    },
    /// They do not make a file system.
    #[error("{0}; only volumes that this boot opened can be part of root")]
    Members(#[from] MembersError),
    /// The kernel's.
    #[error("{device} cannot be announced to btrfs: {source}")]
    Announce { device: String, source: io::Error },
}

/// Announces the devices of the file system on `root` that are among the `opened` volumes. `degraded`:
/// the measured `rootflags=` allow that some are missing.
///
/// # Errors
/// One is missing, was away, or is there twice.
pub(super) fn announce(root: &Path, opened: &[PathBuf], degraded: bool) -> Result<(), BtrfsError> {
    let Some(superblock) = superblock(root)? else {
        // The mount says what it holds instead.
        return Ok(());
    };
    if superblock.devices <= 1 {
        return Ok(());
    }
    let id = superblock.id;
    let named = |path: &Path, superblock| Candidate {
        device: path.display().to_string(),
        superblock,
    };
    let mut candidates = vec![named(root, superblock)];
    for path in opened.iter().filter(|path| path.as_path() != root) {
        // One that cannot be read is missed if it is a member.
        let superblock = self::superblock(path).ok().flatten();
        candidates.extend(superblock.map(|superblock| named(path, superblock)));
    }
    match members(id, &candidates) {
        Ok(_) => {}
        Err(MembersError::Missing { .. }) if degraded => {}
        Err(error) => return Err(error.into()),
    }
    for member in candidates.iter().filter(|one| one.superblock.id == id) {
        scan::announce(Path::new(&member.device)).map_err(|source| BtrfsError::Announce {
            device: member.device.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Does one of the mount options allow missing devices?
pub(super) fn allows_missing(flags: Option<&str>) -> bool {
    flags.is_some_and(|flags| flags.split(',').any(|flag| flag == "degraded"))
}

fn superblock(path: &Path) -> Result<Option<Superblock>, BtrfsError> {
    let device = || path.display().to_string();
    let mut disk = File::open(path).map_err(|source| BtrfsError::Unreadable {
        device: device(),
        source,
    })?;
    Superblock::read(&mut disk).map_err(|source| BtrfsError::Superblock {
        device: device(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_option_itself_allows_missing_devices() {
        for (flags, expected) in [
            (None, false),
            (Some("subvol=root"), false),
            (Some("subvol=degraded"), false),
            (Some("compress=zstd,degraded"), true),
        ] {
            assert_eq!(allows_missing(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn what_is_not_btrfs_is_left_to_the_mount() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        announce(file.path(), &[], false).unwrap();
        let missing = Path::new("/nonexistent/volume");
        let error = announce(missing, &[], false).unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent/volume cannot be read"),
            "{error}"
        );
    }
}
