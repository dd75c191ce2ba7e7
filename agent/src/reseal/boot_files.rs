//! The files that a launch may be sealed for: their digests, kept on the encrypted root.
//!
//! /boot is neither encrypted nor authenticated, so that a file is not known by lying there. It
//! is known by its digest: of the image that was built here, of what the package manager
//! installed, or of what the administrator named.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::libc;
use serde::{Deserialize, Serialize};
use tao::state_file;

/// Where the list is, below the root file system.
pub const BOOT_FILES: &str = "var/lib/taoboot/boot-files.json";
/// Longest list in bytes: some thousand files.
const MAX_LEN: u64 = 1 << 20;
const VERSION: u32 = 1;

/// How a file is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "by")]
pub enum Origin {
    /// An image that was built here.
    Built,
    /// A file that the package manager installed.
    Package {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// The package manager's own digest, with which the file agreed.
        md5: String,
    },
    /// The same bytes as a file on the encrypted root.
    Copy {
        /// That file.
        of: String,
    },
    /// Named by the administrator, with its digest.
    Administrator,
}

/// One content that a path may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// How it is known.
    pub origin: Origin,
    /// An image that is about to be put there; the present one is known until it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coming: bool,
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFiles {
    version: u32,
    files: BTreeMap<String, Vec<KnownFile>>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the list of known boot files, {path}: {reason}", path = .path.display())]
pub struct BootFilesError {
    path: PathBuf,
    reason: String,
}

impl Default for BootFiles {
    fn default() -> Self {
        Self {
            version: VERSION,
            files: BTreeMap::new(),
        }
    }
}

/// The path on a machine whose root file system is mounted at `root`.
#[must_use]
pub fn below(root: &Path, path: &str) -> String {
    match Path::new(path).strip_prefix(root) {
        Ok(rest) => Path::new("/").join(rest).to_string_lossy().into_owned(),
        Err(_) => path.to_owned(),
    }
}

impl BootFiles {
    /// The list of the machine whose root file system is mounted at `root`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(root: &Path) -> Result<Self, BootFilesError> {
        Self::read(&root.join(BOOT_FILES))
    }

    /// Reads the list; where there is none yet, no file is known.
    ///
    /// # Errors
    /// One sentence: the file is not a list, or others than its owner may write to it.
    pub fn read(path: &Path) -> Result<Self, BootFilesError> {
        let failed = |reason: String| BootFilesError {
            path: path.into(),
            reason,
        };
        let mut options = OpenOptions::new();
        let opened = options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        if !metadata.is_file() || metadata.mode() & 0o022 != 0 {
            return Err(failed(
                "is not a regular file that only its owner may write to".into(),
            ));
        }
        let mut text = Vec::new();
        file.take(MAX_LEN + 1)
            .read_to_end(&mut text)
            .map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > MAX_LEN {
            return Err(failed(format!("has more than {MAX_LEN} bytes")));
        }
        let list: Self =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        if list.version != VERSION {
            return Err(failed(format!(
                "has version {}, this program supports version {VERSION}",
                list.version
            )));
        }
        Ok(list)
    }

    /// Replaces the list as a whole; only its owner may read it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BootFilesError> {
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|mut text| {
                text.push(b'\n');
                state_file::replace(path, &text)
            });
        written.map_err(|error| BootFilesError {
            path: path.into(),
            reason: error.to_string(),
        })
    }

    /// Is this the content that the path may have?
    #[must_use]
    pub fn knows(&self, path: &str, sha256: &str) -> bool {
        self.at(path).iter().any(|known| known.sha256 == sha256)
    }

    /// The contents that a path may have: the present one, and the one that is coming.
    #[must_use]
    pub fn at(&self, path: &str) -> &[KnownFile] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Paths and contents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &KnownFile)> {
        let files = self.files.iter();
        files.flat_map(|(path, known)| known.iter().map(move |known| (path.as_str(), known)))
    }

    /// Makes a content known in the place of those that were; one that is coming replaces only
    /// another one that was coming.
    pub fn set(&mut self, path: &str, known: KnownFile) {
        let all = self.files.entry(path.to_owned()).or_default();
        if !known.coming {
            all.clear();
        } else if all
            .iter()
            .any(|old| old.sha256 == known.sha256 && !old.coming)
        {
            all.retain(|old| !old.coming);
            return;
        } else {
            all.retain(|old| !old.coming);
        }
        all.push(known);
    }

    /// The coming image is at its path, or it is not: then the present one stays.
    pub fn settle(&mut self, path: &str, in_place: bool) {
        let Some(all) = self.files.get_mut(path) else {
            return;
        };
        if in_place {
            all.retain(|known| known.coming);
            for known in all.iter_mut() {
                known.coming = false;
            }
        } else {
            all.retain(|known| !known.coming);
        }
        if all.is_empty() {
            self.files.remove(path);
        }
    }

    /// Nothing at this path is known any more. Was anything?
    pub fn forget(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn known(sha256: &str, coming: bool) -> KnownFile {
        KnownFile {
            sha256: sha256.into(),
            origin: Origin::Built,
            coming,
        }
    }

    #[test]
    fn a_list_survives_being_written_and_nobody_else_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boot-files.json");
        assert_eq!(BootFiles::read(&path).unwrap(), BootFiles::default());
        let mut list = BootFiles::default();
        list.set("/boot/image", known("aa", false));
        list.write(&path).unwrap();
        assert_eq!(BootFiles::read(&path).unwrap(), list);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(list.knows("/boot/image", "aa") && !list.knows("/boot/other", "aa"));
    }

    #[test]
    fn what_is_coming_is_known_beside_what_is_there_until_it_is_settled() {
        let mut list = BootFiles::default();
        list.set("/i", known("old", false));
        list.set("/i", known("new", true));
        list.set("/i", known("newer", true));
        let at = |list: &BootFiles| -> Vec<String> {
            list.at("/i").iter().map(|k| k.sha256.clone()).collect()
        };
        assert_eq!(at(&list), ["old", "newer"]);
        let mut failed = list.clone();
        failed.settle("/i", false);
        assert_eq!(at(&failed), ["old"]);
        list.settle("/i", true);
        assert_eq!(at(&list), ["newer"]);
        list.set("/i", known("newer", true));
        assert_eq!(list.at("/i"), [known("newer", false)]);
    }

    #[test]
    fn a_list_that_others_can_write_a_link_and_garbage_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        BootFiles::default().write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(BootFiles::read(&path).is_err());
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(BootFiles::read(&link).is_err());
        for text in ["", "[]", "{\"version\":2,\"files\":{}}"] {
            let path = directory.path().join("bad");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(BootFiles::read(&path).is_err(), "{text}");
        }
    }
}
