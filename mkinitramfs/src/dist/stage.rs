//! A directory that becomes the root of an installation: files with their modes, all of one time.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

/// The directory, and what has been put there.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    time: SystemTime,
    /// Directories that were made, for their time at the end.
    directories: BTreeSet<PathBuf>,
}

impl Stage {
    /// Begins; makes the directory where it is not there.
    pub fn new(root: &Path, epoch: u64) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self {
            root: root.to_owned(),
            time: SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_secs(epoch))
                .with_context(|| format!("SOURCE_DATE_EPOCH={epoch} is not a time"))?,
            directories: BTreeSet::from([root.to_owned()]),
        })
    }

    /// A copy of a file.
    pub fn copy(&mut self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(to, &content, mode)
    }

    /// A file, gzip-compressed, without name and time in its header.
    pub fn compressed(&mut self, to: &str, content: &[u8]) -> Result<()> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        encoder.write_all(content)?;
        self.write(to, &encoder.finish()?, 0o644)
    }

    /// A file.
    pub fn write(&mut self, to: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.place(to)?;
        let shown = || format!("cannot write {}", path.display());
        // An old file may be a program that runs.
        self.remove(&path)?;
        fs::write(&path, content).with_context(shown)?;
        fs::set_permissions(&path, Permissions::from_mode(mode)).with_context(shown)?;
        let file = File::options()
            .append(true)
            .open(&path)
            .with_context(shown)?;
        file.set_modified(self.time).with_context(shown)
    }

    /// A symbolic link.
    pub fn link(&mut self, target: &str, to: &str) -> Result<()> {
        let path = self.place(to)?;
        self.remove(&path)?;
        symlink(target, &path).with_context(|| format!("cannot make {}", path.display()))
    }

    /// An empty directory.
    pub fn directory(&mut self, to: &str, mode: u32) -> Result<()> {
        let path = self.root.join(to);
        self.make(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .with_context(|| format!("cannot change {}", path.display()))
    }

    /// Gives the directories their time, which each file in them changed.
    pub fn finish(self) -> Result<()> {
        for directory in self.directories.iter().rev() {
            File::open(directory)?.set_modified(self.time)?;
        }
        Ok(())
    }

    fn place(&mut self, to: &str) -> Result<PathBuf> {
        let path = self.root.join(to);
        if let Some(directory) = path.parent() {
            self.make(directory)?;
        }
        Ok(path)
    }

    /// Directories that are missing; those that are there stay as they are.
    fn make(&mut self, directory: &Path) -> Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(above) = directory.parent() {
            self.make(above)?;
        }
        let shown = || format!("cannot make {}", directory.display());
        fs::create_dir(directory).with_context(shown)?;
        fs::set_permissions(directory, Permissions::from_mode(0o755)).with_context(shown)?;
        self.directories.insert(directory.to_owned());
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match fs::symlink_metadata(path) {
            Ok(_) => {
                fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))
            }
            Err(_) => Ok(()), // not there, or writing says why not
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_mode_and_the_one_time_and_replace_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        for _ in 0..2 {
            let mut stage = Stage::new(&root, 1_700_000_000).unwrap();
            stage.write("usr/bin/x", b"1", 0o755).unwrap();
            stage.compressed("usr/share/y.gz", b"2").unwrap();
            stage.link("x", "usr/bin/z").unwrap();
            stage.directory("var/x", 0o700).unwrap();
            stage.finish().unwrap();
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (name, mode) in [
            ("usr/bin/x", 0o755),
            ("usr/share/y.gz", 0o644),
            ("var/x", 0o700),
            ("usr", 0o755),
        ] {
            let metadata = fs::metadata(root.join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
            assert!(
                metadata.is_dir() || metadata.modified().unwrap() == time,
                "{name}"
            );
        }
        assert_eq!(
            fs::read_link(root.join("usr/bin/z")).unwrap(),
            Path::new("x")
        );
        // No time, no name: the same bytes everywhere.
        let packed = fs::read(root.join("usr/share/y.gz")).unwrap();
        assert_eq!(packed[3..8], [0; 5]);
    }
}
