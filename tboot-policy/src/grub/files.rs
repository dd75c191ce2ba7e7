//! From GRUB's paths to files, and from files to the modules that tboot measures.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use lcp::{gunzip, mlehash::Mle};

use super::entry::{BootEntry, Loaded};
use crate::{
    acm::{MAX_LCP_DATA, Role, role},
    module::{MAX_MODULE_LEN, Module},
    predict::FileHash,
};

/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of an xz file.
const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// A file that GRUB could not load, or that can't be found from here.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
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
    /// A file that can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Larger than GRUB could load below 4 GiB.
    #[error("{path} has more than {MAX_MODULE_LEN} bytes, GRUB could not load it")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// The entry boots another kernel.
    #[error("line {line}: {path} is not tboot, so that nothing is measured: {source}")]
    NotTboot {
        /// The line of grub.cfg, from 1.
        line: usize,
        /// The file.
        path: String,
        /// What is wrong with it.
        source: lcp::mlehash::MleError,
    },
    /// A damaged gzip file.
    #[error("{path}: {source}")]
    Gunzip {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: gunzip::GunzipError,
    },
    /// A gzip file that tboot gets as it is.
    #[error(
        "line {line}: {path} is a gzip file loaded with --nounzip, which is not supported: take --nounzip out, or decompress the file"
    )]
    NoUnzip {
        /// The line of grub.cfg, from 1.
        line: usize,
        /// The file.
        path: String,
    },
    /// GRUB decompresses what is not decompressed here.
    #[error(
        "{path} is an xz file and the entry loads xzio, with which GRUB decompresses it before tboot measures: compress it with gzip, or take insmod xzio out"
    )]
    Xz {
        /// The file.
        path: String,
    },
    /// Nothing is left to boot.
    #[error("tboot finds no module but SINIT modules and policy data: the entry loads no kernel")]
    NoKernel,
    /// Policy data that tboot doesn't take.
    #[error(
        "{path} is policy data of {found} bytes, tboot takes at most {MAX_LCP_DATA} and refuses to launch with more"
    )]
    LcpData {
        /// The file.
        path: String,
        /// Its length, in bytes.
        found: usize,
    },
}

/// Where GRUB's file systems are mounted.
#[derive(Clone, Debug)]
pub struct Places {
    /// The root file system, `/`.
    pub root: PathBuf,
    /// The file system or folder with the kernels, `/boot`.
    pub boot: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            root: "/".into(),
            boot: "/boot".into(),
        }
    }
}

impl Places {
    /// Both below another root.
    pub fn below(root: &Path) -> Self {
        Places {
            root: root.to_owned(),
            boot: root.join("boot"),
        }
    }

    /// The file of a path as GRUB sees it: on the boot file system when that is one of its own,
    /// else on the root file system; below a subvolume's name it begins with `/boot`.
    pub fn find(&self, loaded: &Loaded) -> Result<PathBuf, FileError> {
        let line = loaded.line;
        let shown = || String::from_utf8_lossy(&loaded.path).into_owned();
        let path = match loaded.path.strip_prefix(b"(") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b')');
                end.and_then(|end| rest.get(end + 1..)).unwrap_or_default()
            }
            None => loaded.path.as_slice(),
        };
        let Some(relative) = path.strip_prefix(b"/") else {
            return Err(FileError::NotAbsolute {
                line,
                path: shown(),
            });
        };
        let below = |place: &Path, path: &[u8]| {
            let begin = path.iter().position(|byte| *byte != b'/').unwrap_or(0);
            place.join(OsStr::from_bytes(path.get(begin..).unwrap_or_default()))
        };
        let mut tried = vec![below(&self.boot, relative)];
        let on_root = below(&self.root, relative);
        if self.boot_has_its_own_file_system() {
            tried.push(on_root);
        } else {
            tried.insert(0, on_root);
        }
        // btrfs: /@/boot/vmlinuz
        if let Some(at) = path.windows(6).position(|part| part == b"/boot/") {
            tried.push(below(&self.boot, path.get(at + 6..).unwrap_or_default()));
        }
        match tried.iter().find(|path| path.is_file()) {
            Some(found) => Ok(found.clone()),
            None => Err(FileError::NotFound {
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

    fn boot_has_its_own_file_system(&self) -> bool {
        let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
        match (device(&self.boot), device(&self.root)) {
            (Some(boot), Some(root)) => boot != root,
            _ => false,
        }
    }
}

/// A file that tboot takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub role: Role,
    /// Its content, decompressed.
    pub content: Vec<u8>,
}

/// The files of a boot, read.
#[derive(Clone, Debug)]
pub struct BootFiles {
    /// The entry's title.
    pub title: String,
    /// tboot's file.
    pub tboot_path: PathBuf,
    /// tboot.
    pub tboot: Vec<u8>,
    /// tboot's command line.
    pub tboot_cmdline: Vec<u8>,
    /// The modules as tboot counts them.
    pub modules: Vec<Module>,
    /// What it takes away before.
    pub left_out: Vec<LeftOut>,
}

impl BootFiles {
    /// Hashes of what tboot takes away, for a record or a prediction.
    pub fn hashes(&self) -> Vec<FileHash> {
        let hash = |file: &LeftOut| {
            FileHash::of(file.role, &file.path.display().to_string(), &file.content)
        };
        self.left_out.iter().map(hash).collect()
    }

    /// Reads the files of an entry.
    pub fn read(entry: &BootEntry, places: &Places) -> Result<Self, FileError> {
        let tboot_path = places.find(&entry.loader)?;
        let tboot = read(&tboot_path)?;
        let shown = tboot_path.display().to_string();
        Mle::parse(&tboot).map_err(|source| FileError::NotTboot {
            line: entry.loader.line,
            path: shown,
            source,
        })?;
        let (mut modules, mut left_out) = (Vec::new(), Vec::new());
        for loaded in &entry.modules {
            let path = places.find(loaded)?;
            let shown = path.display().to_string();
            let mut bytes = read(&path)?;
            if entry.xz && loaded.decompress && bytes.starts_with(&XZ_MAGIC) {
                return Err(FileError::Xz { path: shown });
            }
            if !loaded.decompress && bytes.starts_with(&GZIP_MAGIC) {
                return Err(FileError::NoUnzip {
                    line: loaded.line,
                    path: shown,
                });
            }
            let content =
                gunzip::gunzip(&bytes, MAX_MODULE_LEN).map_err(|source| FileError::Gunzip {
                    path: shown.clone(),
                    source,
                })?;
            let role = role(&content);
            if role == Role::Measured {
                // Decompressed once is enough, unless that is gzip again, which GRUB leaves alone.
                match content {
                    Cow::Owned(content) if !content.starts_with(&GZIP_MAGIC) => bytes = content,
                    _ => {}
                }
                modules.push(Module {
                    name: shown,
                    cmdline: loaded.cmdline.clone(),
                    bytes,
                });
                continue;
            }
            if role == Role::LcpData && content.len() > MAX_LCP_DATA {
                return Err(FileError::LcpData {
                    path: shown,
                    found: content.len(),
                });
            }
            let content = content.into_owned();
            left_out.push(LeftOut {
                path,
                role,
                content,
            });
        }
        if modules.is_empty() {
            return Err(FileError::NoKernel);
        }
        Ok(BootFiles {
            title: entry.title.clone(),
            tboot_path,
            tboot,
            tboot_cmdline: entry.loader.cmdline.clone(),
            modules,
            left_out,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let shown = || path.display().to_string();
    let failed = |source| FileError::Read {
        path: shown(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_MODULE_LEN as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_MODULE_LEN {
        return Err(FileError::TooLarge { path: shown() });
    }
    Ok(bytes)
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
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
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
            assert!(matches!(error, FileError::NotAbsolute { .. }), "{path}");
        }
    }
}
