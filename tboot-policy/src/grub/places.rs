//! From GRUB's paths to files.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{bls::BlsPlace, entry::Loaded};

/// A path that leads to no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A path that is not absolute.
    #[error("line {line}: GRUB finds no file {path:?}: a path begins with / or (device)/")]
    NotAbsolute {
        /// The line of grub.cfg, from 1.
        line: usize,
        /// The path.
        path: String,
    },
    /// No such file.
    #[error(
        "line {line}: {path} is not there; looked for {tried}; --root and --boot say where the file systems are"
    )]
    NotFound {
        /// The line of grub.cfg, from 1.
        line: usize,
        /// The path as GRUB sees it.
        path: String,
        /// The files that were looked for.
        tried: String,
    },
}

/// Where GRUB's file systems are mounted.
#[derive(Clone, Debug)]
pub struct Places {
    /// The root file system, `/`.
    pub root: PathBuf,
    /// The file system or directory with the kernels, `/boot`.
    pub boot: PathBuf,
    /// Files that will stand at a path, and where they are now.
    pub replaced: BTreeMap<PathBuf, PathBuf>,
}

/// A file that GRUB will load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path when GRUB loads it.
    pub path: PathBuf,
    /// Where it is now, if that is another path.
    pub read_from: Option<PathBuf>,
}

impl Found {
    /// The file to be read.
    pub fn file(&self) -> &Path {
        self.read_from.as_deref().unwrap_or(&self.path)
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: "/".into(),
            boot: "/boot".into(),
            replaced: BTreeMap::new(),
        }
    }
}

impl Places {
    /// Both below another root.
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            boot: root.join("boot"),
            replaced: BTreeMap::new(),
        }
    }

    /// The file of a path as GRUB sees it: on the boot file system when that is one of its own,
    /// else on the root file system; below a subvolume's name it begins with `/boot`.
    pub fn find(&self, loaded: &Loaded) -> Result<Found, PlaceError> {
        let line = loaded.line;
        let shown = || String::from_utf8_lossy(&loaded.path).into_owned();
        let path = match loaded.path.strip_prefix(b"(") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b')');
                // A device that never ends leaves no path.
                end.and_then(|end| rest.get(end.saturating_add(1)..))
                    .unwrap_or_default()
            }
            None => loaded.path.as_slice(),
        };
        let Some(relative) = path.strip_prefix(b"/") else {
            return Err(PlaceError::NotAbsolute {
                line,
                path: shown(),
            });
        };
        let below = |place: &Path, path: &[u8]| {
            // Joined with an absolute path, the place would be left.
            let begin = path.iter().position(|byte| *byte != b'/');
            let relative = begin.and_then(|begin| path.get(begin..));
            match relative {
                Some(relative) => place.join(OsStr::from_bytes(relative)),
                None => place.to_owned(),
            }
        };
        let mut tried = vec![below(&self.boot, relative)];
        let on_root = below(&self.root, relative);
        if self.boot_has_its_own_file_system() {
            tried.push(on_root);
        } else {
            tried.insert(0, on_root);
        }
        // btrfs: /@/boot/vmlinuz
        let at = path.windows(6).position(|part| part == b"/boot/");
        if let Some(behind) = at.and_then(|at| path.get(at.saturating_add(6)..)) {
            tried.push(below(&self.boot, behind));
        }
        let there = |path: &&PathBuf| self.replaced.contains_key(*path) || path.is_file();
        match tried.iter().find(there) {
            Some(path) => Ok(Found {
                path: path.clone(),
                read_from: self.replaced.get(path).cloned(),
            }),
            None => Err(PlaceError::NotFound {
                line,
                path: shown(),
                tried: tried
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Where GRUB's `blscfg` looks for entries.
    pub fn bls(&self) -> BlsPlace {
        BlsPlace {
            boot: self.boot.clone(),
            root: (!self.boot_has_its_own_file_system()).then(|| self.root.clone()),
        }
    }

    fn boot_has_its_own_file_system(&self) -> bool {
        let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
        match (device(&self.boot), device(&self.root)) {
            (Some(boot), Some(root)) => boot != root,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(path: &str) -> Loaded {
        Loaded {
            line: 7,
            path: path.as_bytes().to_vec(),
            cmdline: Vec::new(),
            decompress: true,
        }
    }

    #[test]
    fn grubs_paths_are_found_below_root_and_boot() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        std::fs::create_dir(&places.boot).unwrap();
        std::fs::write(places.boot.join("vmlinuz"), b"k").unwrap();
        for path in [
            "/boot/vmlinuz",
            "/vmlinuz",
            "(hd0,msdos1)/vmlinuz",
            "/@/boot/vmlinuz",
        ] {
            assert!(places.find(&loaded(path)).is_ok(), "{path}");
        }
        let error = places.find(&loaded("/no")).unwrap_err().to_string();
        assert!(
            error.contains("line 7: /no is not there; looked for"),
            "{error}"
        );
        for path in ["vmlinuz", "(hd0", ""] {
            let error = places.find(&loaded(path)).unwrap_err();
            assert!(matches!(error, PlaceError::NotAbsolute { .. }), "{path}");
        }
    }
    #[test]
    fn a_replaced_file_need_not_be_there_and_is_read_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let mut places = Places::below(directory.path());
        let path = places.boot.join("initrd");
        assert!(places.find(&loaded("/initrd")).is_err());
        places.replaced.insert(path.clone(), "/new/initrd".into());
        for name in ["/initrd", "/boot/initrd", "/boot//initrd"] {
            let found = places.find(&loaded(name)).unwrap();
            assert_eq!(found.path, path);
            assert_eq!(found.file(), Path::new("/new/initrd"));
        }
    }
}
