//! Which of the files that GRUB loads are known on the encrypted root; the others are not
//! sealed for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use agent::reseal::{BOOT_FILES, BootFiles, KnownFile, Origin, below};
use anyhow::{Context as _, Result};
use md5::Md5;
use nix::{
    fcntl::{Flock, FlockArg},
    libc,
};
use sha2::{Digest, Sha256};
use tboot_policy::{grub::files::FileRole, predict::printed::PrintedFile};

use crate::{next_boot::predictions::Entry, reseal::proof, trust::packages::Packages};

/// The known files of one machine.
pub struct Known {
    root: PathBuf,
    list: BootFiles,
    packages: Packages,
    /// Found to be a package's in this run.
    found: Vec<(String, KnownFile)>,
}

impl Known {
    /// Reads the list and dpkg's records of the machine whose root is mounted there.
    pub fn read(root: &Path) -> Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            list: BootFiles::of(root)?,
            packages: Packages::read(root)?,
            found: Vec::new(),
        })
    }

    /// Why an entry is not to be sealed for, one sentence for each file.
    pub fn objections(&mut self, entry: &Entry) -> Vec<String> {
        let mut objections: Vec<String> = entry
            .files
            .iter()
            .filter_map(|file| self.objection(file))
            .collect();
        objections.dedup();
        if entry.files.is_empty() {
            objections.push("the prediction names no files".into());
        }
        if let Some(path) = proof::unmeasured(entry) {
            objections.push(format!(
                "{path} is loaded but not measured, so that any other file in its place would get the key: give tboot's policy an entry for it"
            ));
        }
        objections
    }

    /// `None`: the file is known to have the content that the prediction was made of.
    fn objection(&mut self, file: &PrintedFile) -> Option<String> {
        let path = below(&self.root, &file.path);
        if is_link(&file.path) || file.read_from.as_deref().is_some_and(is_link) {
            return Some(format!(
                "{path} is a symbolic link: put the file itself there"
            ));
        }
        let mut stale = None;
        for known in self
            .list
            .at(&path)
            .iter()
            .filter(|k| k.sha256 == file.sha256)
        {
            match &known.origin {
                Origin::Built | Origin::Administrator => return None,
                // Looked at again below.
                Origin::Copy { .. } => {}
                // An old version of a package that was put back is not known any more.
                Origin::Package { name, version, md5 } => {
                    if self.packages.of(&path).iter().any(|now| now.md5 == *md5) {
                        return None;
                    }
                    stale = Some(format!(
                        "is that of {name} {version}, which is no longer installed"
                    ));
                }
            }
        }
        if let Some(of) = self.original(&path, &file.sha256) {
            let known = KnownFile {
                sha256: file.sha256.clone(),
                origin: Origin::Copy { of },
                coming: false,
            };
            self.list.set(&path, known.clone());
            self.found.push((path, known));
            return None;
        }
        let packages = self.packages.of(&path);
        if file.read_from.is_none() && !packages.is_empty() {
            let (md5, sha256) = match digests(Path::new(&file.path)) {
                Ok(digests) => digests,
                Err(error) => return Some(format!("{path} cannot be read: {error}")),
            };
            let package = packages.iter().find(|packaged| packaged.md5 == md5);
            if let (Some(package), true) = (package, sha256 == file.sha256) {
                let known = KnownFile {
                    sha256,
                    origin: Origin::Package {
                        name: package.package.clone(),
                        version: package.version.clone(),
                        md5,
                    },
                    coming: false,
                };
                self.list.set(&path, known.clone());
                self.found.push((path, known));
                return None;
            }
            let names: Vec<String> = packages
                .iter()
                .map(|p| format!("{} {}", p.package, p.version))
                .collect();
            stale = Some(format!(
                "is not that which the package {} installed",
                names.join(" or ")
            ));
        }
        let before = self.list.at(&path).first();
        let why = match (stale, before.map(|known| &known.origin)) {
            (Some(stale), _) => format!("its content {stale}: install the package again"),
            (None, Some(Origin::Built)) => {
                "its content is not that of the image that was built here: run /usr/lib/taoboot/kernel refresh".into()
            }
            (None, Some(Origin::Administrator)) => {
                "its content is not that which `taoboot trust` was given".into()
            }
            _ if file.role == FileRole::Initramfs => {
                "it is not an image that was built here: run /usr/lib/taoboot/kernel refresh".into()
            }
            _ => "no package has installed it".into(),
        };
        Some(format!(
            "{path} is not known: {why}; or name it with the digest that its maker gives: taoboot trust {path} --sha256 DIGEST"
        ))
    }

    /// Distributions that install a kernel as /lib/modules/VERSION/vmlinuz copy it to /boot: that
    /// file, where the digest is its own.
    fn original(&self, path: &str, sha256: &str) -> Option<String> {
        let version = path.strip_prefix("/boot/vmlinuz-")?;
        let plain = !version.is_empty() && !version.starts_with('.') && !version.contains('/');
        let of = format!("lib/modules/{version}/vmlinuz");
        let (_, found) = digests(&self.root.join(&of)).ok().filter(|_| plain)?;
        (found == sha256).then(|| format!("/{of}"))
    }

    /// Why a file as it lies there is not known.
    pub fn objection_to(&mut self, path: &Path) -> Result<Option<String>> {
        let text = path.to_str().context("the path is not text")?;
        if is_link(text) {
            return Ok(Some(format!("{text} is a symbolic link")));
        }
        let (_, sha256) = digests(path).with_context(|| text.to_owned())?;
        // What it is to the boot is known of entries only.
        Ok(self.objection(&PrintedFile {
            path: text.to_owned(),
            read_from: None,
            sha256,
            role: FileRole::Module,
            cmdline: None,
        }))
    }

    /// Keeps what was found.
    pub fn save(&mut self) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        let found = std::mem::take(&mut self.found);
        update(&self.root, |list| {
            for (path, known) in found {
                list.set(&path, known);
            }
            Ok(())
        })
    }
}

/// Changes the list, while no other program does.
pub fn update<T>(root: &Path, change: impl FnOnce(&mut BootFiles) -> Result<T>) -> Result<T> {
    let path = root.join(BOOT_FILES);
    let directory = path.parent().context("the list has no directory")?;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.with_context(|| format!("cannot make {}", directory.display()))?;
    let lock = directory.join("boot-files.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .with_context(|| format!("cannot open {}", lock.display()))?;
    let _locked = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", lock.display()))?;
    let mut list = BootFiles::read(&path)?;
    let before = list.clone();
    let answer = change(&mut list)?;
    if list != before {
        list.write(&path)?;
    }
    Ok(answer)
}

fn is_link(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// MD5 and SHA-256 of a regular file, of the same bytes.
pub fn digests(path: &Path) -> io::Result<(String, String)> {
    let mut file = open(path)?;
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        md5.update(bytes);
        sha256.update(bytes);
    }
    Ok((hex::encode(md5.finalize()), hex::encode(sha256.finalize())))
}

/// A regular file, not followed through a link.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("is not a regular file"))
    }
}
