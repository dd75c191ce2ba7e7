//! Files put into an ext4 image without mounting it, through debugfs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::disk::cache::CacheKey;
use crate::tool::Tool;

#[derive(Clone, Debug)]
enum Entry {
    File { mode: u32, content: Vec<u8> },
    Symlink(String),
    Directory,
}

/// What is added to an image. Missing directories are made; what is there is replaced.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    entries: BTreeMap<String, Entry>,
}

impl Overlay {
    /// Adds a file that belongs to root. `path` is absolute, `mode` its permissions.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        let content = content.into();
        self.entries
            .insert(path.to_owned(), Entry::File { mode, content });
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.entries
            .insert(path.to_owned(), Entry::Symlink(target.to_owned()));
    }

    /// Adds an empty directory.
    pub fn directory(&mut self, path: &str) {
        self.entries.insert(path.to_owned(), Entry::Directory);
    }

    /// Adds everything of `other`, which wins where both have a path.
    pub fn add(&mut self, other: &Self) {
        self.entries.extend(other.entries.clone());
    }

    /// Adds all of it to a cache key.
    pub fn describe(&self, key: &mut CacheKey) {
        for (path, entry) in &self.entries {
            key.bytes(path.as_bytes());
            match entry {
                Entry::File { mode, content } => {
                    key.bytes(&mode.to_be_bytes());
                    key.bytes(content);
                }
                Entry::Symlink(target) => key.bytes(target.as_bytes()),
                Entry::Directory => key.bytes(b"directory"),
            }
        }
    }

    /// Writes it into the ext4 file system `image`.
    ///
    /// # Errors
    /// debugfs could not do all of it (the image is full, a path is below a file).
    pub fn write_into(&self, image: &Path) -> Result<()> {
        let scratch = tempfile::tempdir().context("cannot make a directory")?;
        let mut script = String::new();
        for directory in self.directories() {
            // Says "already exists" for most of them, which is why errors are looked for
            // afterwards, in what is there.
            writeln!(script, "mkdir {directory}")?;
        }
        for (number, (path, entry)) in self.entries.iter().enumerate() {
            ensure!(
                path.starts_with('/') && !path.contains(char::is_whitespace),
                "{path:?} cannot be put into an image: absolute and without spaces it must be"
            );
            match entry {
                Entry::Directory => {}
                Entry::Symlink(target) => {
                    writeln!(script, "rm {path}\nsymlink {path} {target}")?;
                }
                Entry::File { mode, content } => {
                    let source = scratch.path().join(number.to_string());
                    std::fs::write(&source, content).context("cannot stage a file")?;
                    writeln!(script, "rm {path}\nwrite {} {path}", source.display())?;
                    writeln!(
                        script,
                        "set_inode_field {path} mode 0{:o}",
                        0o100_000 | mode
                    )?;
                    writeln!(script, "set_inode_field {path} uid 0")?;
                    writeln!(script, "set_inode_field {path} gid 0")?;
                }
            }
        }
        let commands = scratch.path().join("commands");
        std::fs::write(&commands, script).context("cannot stage the commands")?;
        Tool::new("debugfs")
            .arg("-w")
            .arg("-f")
            .arg(&commands)
            .arg(image)
            .run()
            .context("cannot change the image")?;
        self.check(image)
    }

    /// debugfs exits with 0 whatever its commands did, and a file that ran out of room keeps
    /// its size: read everything back.
    fn check(&self, image: &Path) -> Result<()> {
        let scratch = tempfile::tempdir().context("cannot make a directory")?;
        let copy = |number: usize| scratch.path().join(number.to_string());
        let mut script = String::new();
        for (number, (path, entry)) in self.entries.iter().enumerate() {
            match entry {
                Entry::File { .. } => writeln!(script, "dump {path} {}", copy(number).display())?,
                Entry::Symlink(_) | Entry::Directory => writeln!(script, "stat {path}")?,
            }
        }
        let commands = scratch.path().join("commands");
        std::fs::write(&commands, script).context("cannot stage the commands")?;
        let output = Tool::new("debugfs")
            .arg("-f")
            .arg(&commands)
            .arg(image)
            .run()?;
        let output = String::from_utf8_lossy(&output);
        for (number, (path, entry)) in self.entries.iter().enumerate() {
            let question = format!("debugfs: stat {path}\n");
            let answer = output.split(&question).nth(1).unwrap_or_default();
            let answer = answer.split("debugfs: ").next().unwrap_or_default();
            let arrived = match entry {
                Entry::File { content, .. } => {
                    std::fs::read(copy(number)).is_ok_and(|found| found == *content)
                }
                Entry::Symlink(target) => {
                    answer.contains("Type: symlink") && answer.contains(target)
                }
                Entry::Directory => answer.contains("Type: directory"),
            };
            ensure!(
                arrived,
                "{path} did not get into the image: is there room for it?"
            );
        }
        Ok(())
    }

    /// Every directory that leads to an entry, parents first.
    fn directories(&self) -> Vec<String> {
        let mut all = std::collections::BTreeSet::new();
        for (path, entry) in &self.entries {
            if matches!(entry, Entry::Directory) {
                all.insert(path.clone());
            }
            for (position, _) in path.match_indices('/').skip(1) {
                all.extend(path.get(..position).map(str::to_owned));
            }
        }
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::ext4;

    fn image(directory: &Path) -> std::path::PathBuf {
        let (content, image) = (directory.join("content"), directory.join("image"));
        std::fs::create_dir(&content).unwrap();
        std::fs::write(content.join("old"), "old").unwrap();
        let identity = ext4::Identity {
            uuid: "7a0b0004-0004-4004-8004-000000000004",
            label: "test",
        };
        ext4::make(&image, &content, 1 << 20, identity, &[]).unwrap();
        image
    }

    #[test]
    fn files_links_and_directories_arrive_with_their_modes() {
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path());
        let mut overlay = Overlay::default();
        overlay.file("/usr/lib/taoboot/probe", 0o755, "program");
        overlay.file("/old", 0o600, "replaced");
        overlay.symlink("/etc/link", "/dev/null");
        overlay.directory("/var/empty");
        overlay.write_into(&image).unwrap();
        let debugfs = |command: &str| {
            let output = Tool::new("debugfs").args(["-R", command]).arg(&image).run();
            String::from_utf8(output.unwrap()).unwrap()
        };
        assert_eq!(debugfs("cat /usr/lib/taoboot/probe"), "program");
        assert_eq!(debugfs("cat /old"), "replaced");
        assert!(debugfs("stat /usr/lib/taoboot/probe").contains("Mode:  0755"));
        assert!(debugfs("stat /etc/link").contains("/dev/null"));
        Tool::new("e2fsck").args(["-fn"]).arg(&image).run().unwrap();
    }

    #[test]
    fn a_full_image_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path());
        let mut overlay = Overlay::default();
        overlay.file("/large", 0o644, vec![1; 2 << 20]);
        overlay.write_into(&image).unwrap_err();
    }
}
