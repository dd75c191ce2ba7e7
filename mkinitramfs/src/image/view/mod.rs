//! Looking inside an image, whoever made it.

pub mod cat;
pub mod diff;
pub mod extract;
pub mod list;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail};
use commands::{Wanted, mismatch};

use super::archive::{self, Part};

/// Largest image that is read into memory.
const MAX_IMAGE: u64 = 2 << 30;

/// File type bits of `st_mode`.
const TYPE: u32 = 0o170_000;
/// A symbolic link.
const SYMLINK: u32 = 0o120_000;
/// A regular file.
const REGULAR: u32 = 0o100_000;
/// A directory.
const DIRECTORY: u32 = 0o040_000;
/// A character device.
const CHAR: u32 = 0o020_000;
/// A block device.
const BLOCK: u32 = 0o060_000;

/// Reads an image file into memory.
///
/// # Errors
/// It is missing, no regular file, or too large.
pub fn load(path: &Path) -> Result<Vec<u8>> {
    let found = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if found.is_dir() {
        bail!(
            "{} is a directory, expected is an image: give the initrd that GRUB loads",
            path.display()
        );
    }
    if !found.is_file() {
        bail!(
            "{} is not a regular file, so it is not an image",
            path.display()
        );
    }
    if found.len() > MAX_IMAGE {
        bail!(
            "{} has more than {MAX_IMAGE} bytes, the limit for an image",
            path.display()
        );
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The parts of an image that [`load`] has read.
///
/// # Errors
/// It is not an image, or damaged; the sentence names `path` and the place.
pub fn parts<'image>(path: &Path, image: &'image [u8]) -> Result<Vec<Part<'image>>> {
    archive::read(image).map_err(|error| match mismatch(path, image, Wanted::Image) {
        Some(sentence) => anyhow!(sentence),
        None => {
            Error::from(error).context(format!("{} cannot be read as an image", path.display()))
        }
    })
}

/// An entry's path as the kernel takes it: without leading "./" and "/". The root
/// itself is the empty path.
#[must_use]
pub fn path_in_root(name: &[u8]) -> &[u8] {
    let mut path = name;
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            [b'.'] => return &[],
            _ => break,
        };
    }
    while let [rest @ .., b'/'] = path {
        path = rest;
    }
    path
}

/// Text from an image for a terminal: control characters, which could forge lines
/// or drive the terminal, come out escaped.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    printable::line(String::from_utf8_lossy(bytes)).to_string()
}

/// Prints to standard output. A reader that has seen enough (`| head`) is not an error.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    print_bytes(printable::text(text).to_string().as_bytes())
}

/// As [`print`], for bytes.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_the_kernel_ignores() {
        for (name, path) in [
            ("./a/b", "a/b"),
            ("/a", "a"),
            (".", ""),
            ("a/", "a"),
            ("..", ".."),
            (".x", ".x"),
        ] {
            assert_eq!(path_in_root(name.as_bytes()), path.as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(shown(b"a\x1b[2J\nb\xff"), "a\\u001b[2J\\u000ab\u{fffd}");
    }
}
