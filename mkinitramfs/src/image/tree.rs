//! The files of an image before they are written: a sorted tree in memory, and
//! the newc archive made of it.
//!
//! Everything that could differ from one machine to the next (inode numbers,
//! times, owners, the order of readdir, the umask) is decided here and nowhere
//! else, so that the same content gives the same bytes and so the same PCR 17-19.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, bail};
use cpio::newc;

/// One entry of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory, mode 0755.
    Directory,
    /// A regular file.
    File {
        /// Permission bits, without the file type.
        mode: u32,
        /// The content.
        data: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Permission bits, without the file type.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// File type bits of a directory in `st_mode`.
const S_IFDIR: u32 = 0o040_000;
/// File type bits of a regular file in `st_mode`.
const S_IFREG: u32 = 0o100_000;
/// File type bits of a character device in `st_mode`.
const S_IFCHR: u32 = 0o020_000;

/// All entries, by path without a leading slash. A parent sorts before its
/// children because its path is a prefix of theirs.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// The directories and device nodes that the agent relies on.
    ///
    /// # Errors
    /// Never in practice; the paths are constants.
    pub fn skeleton() -> Result<Self> {
        let mut tree = Self::default();
        for directory in ["dev", "etc", "lib", "proc", "run", "sys", "sysroot"] {
            tree.insert(directory, Node::Directory)?;
        }
        // The kernel opens /dev/console for init before anything can mount devtmpfs.
        for (path, mode, major, minor) in [
            ("dev/console", 0o600, 5, 1),
            ("dev/null", 0o666, 1, 3),
            ("dev/kmsg", 0o644, 1, 11),
        ] {
            tree.insert(path, Node::CharDevice { mode, major, minor })?;
        }
        Ok(tree)
    }

    /// Adds one entry and the directories above it.
    ///
    /// # Errors
    /// The path is not a clean relative path, exists already, or runs through
    /// something that is not a directory.
    pub fn insert(&mut self, path: &str, node: Node) -> Result<()> {
        if path.is_empty()
            || path.contains('\0')
            || path.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            bail!(
                "/{path} cannot be a path in the image: no empty, \".\" or \"..\" components there"
            );
        }
        for (end, _) in path.match_indices('/') {
            let (parent, _) = path.split_at(end);
            match self.nodes.get(parent) {
                None => {
                    self.nodes.insert(parent.to_owned(), Node::Directory);
                }
                Some(Node::Directory) => {}
                Some(_) => {
                    bail!(
                        "/{path} cannot be added to the image: /{parent} is not a directory there"
                    )
                }
            }
        }
        match self.nodes.get(path) {
            None => {
                self.nodes.insert(path.to_owned(), node);
            }
            Some(Node::Directory) if node == Node::Directory => {}
            Some(_) => bail!("/{path} is in the image already; give the second file another path"),
        }
        Ok(())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The entries by path, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The newc archive: inodes counted from 1, time 0, owner 0:0.
    ///
    /// # Errors
    /// A file of 4 GiB or more, which newc cannot hold.
    pub fn to_newc(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (index, (path, node)) in self.iter().enumerate() {
            let ino = u32::try_from(index.saturating_add(1))
                .context("too many entries for a newc archive")?;
            let entry = newc::Builder::new(path).ino(ino).uid(0).gid(0).mtime(0);
            let (entry, data): (_, &[u8]) = match node {
                Node::Directory => (entry.mode(S_IFDIR | 0o755).nlink(2), &[]),
                Node::File { mode, data } => (entry.mode(S_IFREG | mode).nlink(1), data),
                Node::CharDevice { mode, major, minor } => (
                    entry
                        .mode(S_IFCHR | mode)
                        .nlink(1)
                        .rdev_major(*major)
                        .rdev_minor(*minor),
                    &[],
                ),
            };
            let size = u32::try_from(data.len())
                .with_context(|| format!("/{path} is 4 GiB or more; newc archives end there"))?;
            let mut writer = entry.write(&mut out, size);
            writer.write_all(data)?;
            writer.finish()?;
        }
        newc::trailer(&mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Node {
        Node::File {
            mode: 0o644,
            data: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_order_of_insertion_leaves_no_trace() {
        let mut one = Tree::skeleton().unwrap();
        one.insert("lib/b", file("b")).unwrap();
        one.insert("lib/a/x", file("x")).unwrap();
        let mut two = Tree::skeleton().unwrap();
        two.insert("lib/a/x", file("x")).unwrap();
        two.insert("lib/b", file("b")).unwrap();
        assert_eq!(one.to_newc().unwrap(), two.to_newc().unwrap());
    }

    #[test]
    fn a_path_is_taken_once_and_runs_through_directories_only() {
        let mut tree = Tree::skeleton().unwrap();
        tree.insert("init", file("1")).unwrap();
        assert!(tree.insert("init", file("2")).is_err());
        assert!(tree.insert("init/x", file("2")).is_err());
        assert!(tree.insert("lib", file("2")).is_err());
        tree.insert("lib", Node::Directory).unwrap();
    }

    #[test]
    fn unclean_paths_are_refused() {
        let mut tree = Tree::default();
        for path in ["", "/etc", "a//b", "a/../b", "./a", "a/", "a\0b"] {
            assert!(tree.insert(path, Node::Directory).is_err(), "{path:?}");
        }
    }
}
