//! Images that take seconds to make are kept, under a hash of everything they are made of.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::tool::Tool;
use crate::workplace::{cache_directory, cache_lock};

/// Images of each kind that are kept, however old.
const KEPT: usize = 4;
/// An image used so recently is kept too: another process may be about to copy it.
const IN_USE: Duration = Duration::from_secs(3600);

/// Collects the inputs of an image. Order counts, and so does where one input ends.
#[derive(Clone)]
pub struct CacheKey {
    hash: Sha256,
}

impl CacheKey {
    /// A key for images of the given kind. `recipe` changes whenever the code that makes
    /// them makes them differently.
    pub fn new(kind: &str, recipe: u32) -> Self {
        let mut key = Self {
            hash: Sha256::new(),
        };
        key.bytes(kind.as_bytes());
        key.bytes(&recipe.to_be_bytes());
        key
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    /// Adds the content of a file.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let mut file =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut content = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file
                .read(&mut buffer)
                .with_context(|| format!("cannot read {}", path.display()))?;
            if count == 0 {
                break;
            }
            content.update(buffer.get(..count).unwrap_or_default());
        }
        self.bytes(&content.finalize());
        Ok(())
    }

    fn name(&self, kind: &str) -> String {
        let digest = hex::encode(self.hash.clone().finalize());
        format!("{kind}-{}", digest.get(..24).unwrap_or(&digest))
    }
}

/// The cached file or directory for `key`, made by `make` (which is given the path to write) when it is
/// not there. Two processes that want the same file make it once.
pub fn cached(
    kind: &str,
    key: &CacheKey,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let name = key.name(kind);
    let path = cache_directory()?.join(&name);
    if path.exists() {
        mark_used(&path)?;
        return Ok(path);
    }
    let _lock = cache_lock(&name)?;
    if path.exists() {
        return Ok(path);
    }
    let unfinished = path.with_extension("unfinished");
    if unfinished.exists() {
        remove(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    make(&unfinished).with_context(|| format!("cannot make the image {name}"))?;
    fs::rename(&unfinished, &path).with_context(|| format!("cannot keep {}", path.display()))?;
    let directory = cache_directory()?;
    let _pruning = cache_lock("prune")?;
    prune(&directory, kind, SystemTime::now())
        .with_context(|| format!("cannot remove old images from {}", directory.display()))?;
    Ok(path)
}

fn mark_used(path: &Path) -> Result<()> {
    // Not for writing: it may be a directory of images.
    File::open(path)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("cannot mark {} as used", path.display()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Removes the images of one kind that nobody has used for long, except for the newest. The
/// agent changes with every build, and each build's root file system would stay for ever.
fn prune(directory: &Path, kind: &str, now: SystemTime) -> Result<()> {
    let mut images = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = name
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix('-'));
        if key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            images.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    images.sort();
    images.reverse();
    for (used, path) in images.split_off(KEPT.min(images.len())) {
        if now.duration_since(used).is_ok_and(|age| age > IN_USE) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Copies an image; holes stay holes, and no bytes move where the file system can share them.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    Tool::new("cp")
        .args(["--reflink=auto", "--sparse=always"])
        .arg(from)
        .arg(to)
        .run()?;
    Ok(())
}

/// Copies an image, or a directory with all that is in it, under its own name into `directory`.
pub fn copy_into(from: &Path, directory: &Path) -> Result<PathBuf> {
    let name = from.file_name().context("an image has a name")?;
    let to = directory.join(name);
    Tool::new("cp")
        .args(["-a", "--reflink=auto", "--sparse=always", "-T"])
        .arg(from)
        .arg(&to)
        .run()?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_images_of_the_same_kind_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..6 {
            fs::write(directory.path().join(format!("root-{number}")), "").unwrap();
        }
        fs::write(directory.path().join("root-luks-0"), "").unwrap();
        let count = || fs::read_dir(directory.path()).unwrap().count();
        prune(directory.path(), "root", SystemTime::now()).unwrap();
        assert_eq!(count(), 7);
        let later = SystemTime::now() + 2 * IN_USE;
        prune(directory.path(), "root", later).unwrap();
        assert_eq!(count(), KEPT + 1);
    }

    #[test]
    fn where_an_input_ends_is_part_of_the_key() {
        let key = |parts: &[&str]| {
            let mut key = CacheKey::new("test", 1);
            for part in parts {
                key.bytes(part.as_bytes());
            }
            key.name("test")
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }
}
