//! What GRUB reads beside grub.cfg when it boots: its environment block (`grubenv`), and whether a
//! file is there.
//!
//! An environment block is 1024 bytes (GRUB also takes other lengths): a first line that names it,
//! lines `NAME=VALUE` with a backslash before backslashes and line breaks, and `#` up to the end
//! (GRUB's lib/envblk.c).

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
};

/// The first line of an environment block.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
/// Longest environment block that is read, in bytes.
pub const MAX_ENVIRONMENT: usize = 64 << 10;
/// Where scripts see the directory, as `$prefix` and `$config_directory`.
pub(super) const PREFIX: &str = "/boot/grub";
/// An environment block that GRUB does not read either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// Another file.
    #[error(
        "is not a GRUB environment block (its first line is not \"# GRUB Environment Block\"): make a new one with grub-editenv"
    )]
    Signature,
    /// Longer than any real one.
    #[error(
        "has {0} bytes, an environment block of GRUB has 1024 and is read up to {MAX_ENVIRONMENT}"
    )]
    TooLong(usize),
}

/// A directory whose environment block GRUB's decisions cannot be told from.
#[derive(Debug, thiserror::Error)]
pub enum BootDirectoryError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The block's file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("{path} {source}")]
    Block {
        /// The block's file.
        path: String,
        /// What is wrong with it.
        source: EnvironmentError,
    },
}

/// The variables of an environment block.
///
/// # Errors
/// Another first line, or a length beyond [`MAX_ENVIRONMENT`]. Lines without `=` are passed over,
/// as GRUB does.
pub fn parse_environment(block: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, EnvironmentError> {
    if block.len() > MAX_ENVIRONMENT {
        return Err(EnvironmentError::TooLong(block.len()));
    }
    let mut rest = block
        .strip_prefix(SIGNATURE)
        .ok_or(EnvironmentError::Signature)?
        .iter();
    let mut variables = BTreeMap::new();
    while !rest.as_slice().is_empty() {
        let comment = rest.as_slice().starts_with(b"#");
        let mut line = Vec::new();
        while let Some(byte) = rest.next() {
            match byte {
                b'\n' => break,
                // In a comment (and the filling behind the last line) a backslash is just that.
                b'\\' if !comment => line.extend(rest.next()),
                byte => line.push(*byte),
            }
        }
        let mut parts = line.splitn(2, |byte| *byte == b'=');
        if let (false, Some(name), Some(value)) = (comment, parts.next(), parts.next()) {
            let name = String::from_utf8_lossy(name).into_owned();
            variables.insert(name, value.to_vec());
        }
    }
    Ok(variables)
}

/// The directory of grub.cfg, e.g. /boot/grub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootDirectory {
    directory: PathBuf,
    /// The environment block's variables; `None`: there is none.
    environment: Option<BTreeMap<String, Vec<u8>>>,
}

impl BootDirectory {
    /// Reads the environment block of a directory, if it has one.
    ///
    /// # Errors
    /// The block cannot be read, or is none.
    pub fn read(directory: &Path) -> Result<Self, BootDirectoryError> {
        let path = directory.join("grubenv");
        let environment = match fs::read(&path) {
            Ok(block) if block.is_empty() => None,
            Ok(block) => Some(parse_environment(&block).map_err(|source| {
                let path = path.display().to_string();
                BootDirectoryError::Block { path, source }
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => {
                let path = path.display().to_string();
                return Err(BootDirectoryError::Read { path, source });
            }
        };
        Ok(Self {
            directory: directory.to_owned(),
            environment,
        })
    }

    /// What `load_env` finds.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.environment.iter().flatten()
    }

    /// Does a test of a file below `$prefix` hold? `None` for other files and other tests.
    pub(super) fn test(&self, option: &[u8], path: &[u8]) -> Option<bool> {
        let relative = path.strip_prefix(PREFIX.as_bytes())?.strip_prefix(b"/")?;
        let relative = Path::new(std::str::from_utf8(relative).ok()?);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !relative.components().all(plain) {
            return None;
        }
        // As for GRUB, what cannot be looked at is not there.
        let found = fs::metadata(self.directory.join(relative)).ok();
        match option {
            b"-e" => Some(found.is_some()),
            b"-f" => Some(found.is_some_and(|found| !found.is_dir())),
            b"-d" => Some(found.is_some_and(|found| found.is_dir())),
            b"-s" => Some(found.is_some_and(|found| found.len() > 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &str) -> Vec<u8> {
        let mut block = SIGNATURE.to_vec();
        block.extend(lines.as_bytes());
        block.resize(1024, b'#');
        block
    }

    fn parsed(lines: &str) -> Vec<(String, String)> {
        let variables = parse_environment(&block(lines)).unwrap();
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        let pairs = variables.into_iter();
        pairs.map(|(name, value)| (name, text(value))).collect()
    }

    #[test]
    fn variables_come_out_as_grub_saved_them() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(parsed(""), []);
        assert_eq!(
            parsed("saved_entry=1>0\nnext_entry=\n# a=b\nx=a=b\\\\c\\\nd\n"),
            [
                pair("next_entry", ""),
                pair("saved_entry", "1>0"),
                pair("x", "a=b\\c\nd")
            ]
        );
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(parse_environment(b""), Err(EnvironmentError::Signature));
        assert_eq!(
            parse_environment(&vec![b'#'; MAX_ENVIRONMENT + 1]),
            Err(EnvironmentError::TooLong(MAX_ENVIRONMENT + 1))
        );
        let directory = tempfile::tempdir().unwrap();
        assert!(BootDirectory::read(directory.path()).is_ok());
        fs::write(directory.path().join("grubenv"), "x").unwrap();
        let error = BootDirectory::read(directory.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("grubenv is not a GRUB environment"),
            "{error}"
        );
    }

    #[test]
    fn files_below_prefix_are_tested_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("grubenv"), block("")).unwrap();
        fs::write(directory.path().join("empty"), "").unwrap();
        let boot = BootDirectory::read(directory.path()).unwrap();
        for (option, path, expected) in [
            ("-s", "/boot/grub/grubenv", Some(true)),
            ("-s", "/boot/grub/empty", Some(false)),
            ("-f", "/boot/grub/empty", Some(true)),
            ("-f", "/boot/grub/custom.cfg", Some(false)),
            ("-d", "/boot/grub/empty", Some(false)),
            ("-f", "/boot/grub/../grubenv", None),
            ("-f", "/etc/passwd", None),
            ("-x", "/boot/grub/empty", None),
        ] {
            let found = boot.test(option.as_bytes(), path.as_bytes());
            assert_eq!(found, expected, "{option} {path}");
        }
    }
}
