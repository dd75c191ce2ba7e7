//! From the files of an entry to the modules that tboot measures.

use std::{
    borrow::Cow,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use txt::{
    gunzip,
    hash::{Digest, HashAlg},
    policy::MAX_DATA_LEN,
};

use super::{
    entry::BootEntry,
    places::{Found, PlaceError, Places},
};
use crate::{
    acm::{Role, TELLING_LEN, may_be_taken_away, role},
    module::{MAX_MODULE_LEN, Module},
    predict::FileHash,
    tboot::{Tboot, Tboots},
};

/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of an xz file.
const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// A file that GRUB could not load, or that cannot be found from here.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No file of this path.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
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
        source: txt::mlehash::MleError,
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
    /// Policy data that tboot does not take.
    #[error(
        "{path} is policy data of {found} bytes, tboot takes at most {MAX_DATA_LEN} and refuses to launch with more"
    )]
    LcpData {
        /// The file.
        path: String,
        /// Its length, in bytes.
        found: usize,
    },
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

/// What a file is to the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// tboot.
    Tboot,
    /// tboot's module 0.
    Kernel,
    /// tboot's module 1.
    Initramfs,
    /// Another module that tboot counts.
    Module,
    /// A SINIT module.
    Sinit,
    /// Data of the launch control policy.
    PolicyData,
}

/// A file as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// Where it is when GRUB loads it, and where it is now.
    pub found: Found,
    /// What it is.
    pub role: FileRole,
    /// SHA-256 of its bytes, compressed as they are.
    pub sha256: Digest,
    /// The command line that is measured with it; `None` for what tboot takes away.
    pub cmdline: Option<Vec<u8>>,
}

/// The files of a boot, read.
#[derive(Clone, Debug)]
pub struct BootFiles {
    /// The entry's title.
    pub title: String,
    /// tboot's file.
    pub tboot_path: PathBuf,
    /// tboot.
    pub tboot: Tboot,
    /// tboot's command line.
    pub tboot_cmdline: Vec<u8>,
    /// The modules as tboot counts them.
    pub modules: Vec<Module>,
    /// What it takes away before.
    pub left_out: Vec<LeftOut>,
    /// Every file that GRUB loads, in its order.
    pub files: Vec<BootFile>,
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
        Self::read_knowing(entry, places, &mut Tboots::default())
    }

    /// The same where several entries are read, most of them with the same tboot.
    pub fn read_knowing(
        entry: &BootEntry,
        places: &Places,
        tboots: &mut Tboots,
    ) -> Result<Self, FileError> {
        let found = places.find(&entry.loader)?;
        let tboot = read(found.file())?;
        let tboot_path = found.path.clone();
        let tboot = tboots.parse(&tboot).map_err(|source| FileError::NotTboot {
            line: entry.loader.line,
            path: shown(&found),
            source,
        })?;
        let mut boot = Self {
            title: entry.title.clone(),
            tboot_path,
            files: vec![BootFile {
                found,
                role: FileRole::Tboot,
                sha256: tboot.sha256().clone(),
                cmdline: Some(entry.loader.cmdline.clone()),
            }],
            tboot,
            tboot_cmdline: entry.loader.cmdline.clone(),
            modules: Vec::new(),
            left_out: Vec::new(),
        };
        for loaded in &entry.modules {
            let found = places.find(loaded)?;
            let bytes = match begin(&found)? {
                Begin::Plain(sha256) => {
                    boot.measured(found, &loaded.cmdline, sha256);
                    continue;
                }
                Begin::Whole(bytes) => bytes,
            };
            if entry.xz && loaded.decompress && bytes.starts_with(&XZ_MAGIC) {
                return Err(FileError::Xz {
                    path: shown(&found),
                });
            }
            if !loaded.decompress && bytes.starts_with(&GZIP_MAGIC) {
                return Err(FileError::NoUnzip {
                    line: loaded.line,
                    path: shown(&found),
                });
            }
            boot.module(found, &loaded.cmdline, bytes)?;
        }
        if boot.modules.is_empty() {
            return Err(FileError::NoKernel);
        }
        Ok(boot)
    }

    /// Takes in a module that was read as tboot does.
    fn module(&mut self, found: Found, cmdline: &[u8], bytes: Vec<u8>) -> Result<(), FileError> {
        let path = shown(&found);
        let content = gunzip::gunzip(&bytes, MAX_MODULE_LEN).map_err(|source| {
            let path = path.clone();
            FileError::Gunzip { path, source }
        })?;
        let sha256 = HashAlg::Sha256.digest(&bytes);
        let role = match role(&content) {
            Role::Measured => {
                // Decompressed once is enough, unless that is gzip again, which GRUB leaves alone.
                let bytes = match content {
                    Cow::Owned(content) if !content.starts_with(&GZIP_MAGIC) => content,
                    _ => bytes,
                };
                self.modules.push(Module::new(path, cmdline, bytes));
                self.counted()
            }
            Role::LcpData if content.len() > MAX_DATA_LEN => {
                let found = content.len();
                return Err(FileError::LcpData { path, found });
            }
            role => {
                self.left_out.push(LeftOut {
                    path: found.path.clone(),
                    role,
                    content: content.into_owned(),
                });
                match role {
                    Role::Sinit => FileRole::Sinit,
                    _ => FileRole::PolicyData,
                }
            }
        };
        self.files.push(BootFile {
            cmdline: match role {
                FileRole::Sinit | FileRole::PolicyData => None,
                _ => Some(cmdline.to_vec()),
            },
            found,
            role,
            sha256,
        });
        Ok(())
    }

    /// Takes in a module that tboot measures as it is on disk.
    fn measured(&mut self, found: Found, cmdline: &[u8], sha256: Digest) {
        let file = found.file().to_owned();
        let module = Module::file(shown(&found), cmdline, file, sha256.clone());
        self.modules.push(module);
        let role = self.counted();
        self.files.push(BootFile {
            found,
            role,
            sha256,
            cmdline: Some(cmdline.to_vec()),
        });
    }

    /// What the module is that was counted last.
    fn counted(&self) -> FileRole {
        match self.modules.len() {
            1 => FileRole::Kernel,
            2 => FileRole::Initramfs,
            _ => FileRole::Module,
        }
    }
}

/// What the begin of a file tells.
enum Begin {
    /// Not compressed, and nothing that tboot takes away: its SHA-256.
    Plain(Digest),
    /// To be looked at whole.
    Whole(Vec<u8>),
}

/// Reads a module: a plain one only to hash it.
fn begin(found: &Found) -> Result<Begin, FileError> {
    let failed = |source| FileError::Read {
        path: shown(found),
        source,
    };
    let mut file = File::open(found.file()).map_err(failed)?;
    let mut begin = Vec::new();
    let mut limited = (&mut file).take(TELLING_LEN as u64);
    limited.read_to_end(&mut begin).map_err(failed)?;
    let packed = begin.starts_with(&GZIP_MAGIC) || begin.starts_with(&XZ_MAGIC);
    if packed || may_be_taken_away(&begin) {
        return read(found.file()).map(Begin::Whole);
    }
    let limit = MAX_MODULE_LEN.saturating_add(1).saturating_sub(begin.len()) as u64;
    let mut rest = file.take(limit);
    let whole = begin.as_slice().chain(&mut rest);
    let sha256 = HashAlg::Sha256.digest_reader(whole).map_err(failed)?;
    if rest.limit() == 0 {
        let path = shown(found);
        return Err(FileError::TooLarge { path });
    }
    Ok(Begin::Plain(sha256))
}

/// The path that messages and listings name.
fn shown(found: &Found) -> String {
    found.path.display().to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let shown = || path.display().to_string();
    let failed = |source| FileError::Read {
        path: shown(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut limited = file.take((MAX_MODULE_LEN as u64).saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_MODULE_LEN {
        return Err(FileError::TooLarge { path: shown() });
    }
    Ok(bytes)
}
