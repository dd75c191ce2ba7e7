//! Writes the initramfs of a peer: files of this host in a newc archive.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use ::harness::tool::Tool;
use anyhow::{Context, Result};
use cpio::newc::{Builder, trailer};

/// An archive in the making.
#[derive(Default)]
pub struct Initramfs {
    archive: Vec<u8>,
    directories: BTreeSet<String>,
}

impl Initramfs {
    /// An archive with these directories.
    pub fn with_directories(directories: &[&str]) -> Result<Self> {
        let mut initramfs = Self::default();
        for directory in directories {
            initramfs.directory(directory)?;
        }
        Ok(initramfs)
    }

    /// A file; the directories above it come with it.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        if let Some((directory, _)) = path.rsplit_once('/') {
            self.directory(directory)?;
        }
        self.entry(path, 0o100_000 | mode, content)
    }

    /// A file of the host, its links followed, at `to`.
    pub fn host_file(&mut self, from: &Path, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(to, 0o755, &content)
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path.trim_start_matches('/'), 0o120_777, target.as_bytes())
    }

    /// Writes the archive, compressed as the distributions do by default.
    pub fn write(mut self, output: &Path) -> Result<()> {
        trailer(&mut self.archive).context("cannot end the archive")?;
        let raw = output.with_extension("cpio");
        fs::write(&raw, &self.archive)
            .with_context(|| format!("cannot write {}", raw.display()))?;
        Tool::new("zstd")
            .args(["-q", "-f", "-9", "--rm", "-o"])
            .arg(output)
            .arg(&raw)
            .run()?;
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<()> {
        let mut above = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if !above.is_empty() {
                above.push('/');
            }
            above.push_str(name);
            if self.directories.insert(above.clone()) {
                self.entry(&above, 0o040_755, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len()).context("a file is too large for an initramfs")?;
        let mut writer = Builder::new(path)
            .mode(mode)
            .nlink(1)
            .write(&mut self.archive, size);
        writer
            .write_all(content)
            .and_then(|()| writer.finish().map(|_| ()))
            .with_context(|| format!("cannot add {path} to the initramfs"))
    }
}
