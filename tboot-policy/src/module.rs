//! The hash of a module as tboot measures it: H( H(command line) || H(content) ).

use std::{fs::File, io, path::PathBuf};

use txt::{
    gunzip::{self, GunzipError},
    hash::{Digest, HashAlg},
};

/// Longest command line that tboot hashes, in bytes (its buffer has 1024, one is for the NUL).
pub const MAX_CMDLINE: usize = 1023;
/// Most that a module may decompress to, in bytes. GRUB needs it all in memory.
pub const MAX_MODULE_LEN: usize = 2 << 30;

/// A module that GRUB loads after tboot: kernel, Xen, initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file's name, for messages.
    pub name: String,
    /// The text after the file name in grub.cfg, as GRUB passes it.
    pub cmdline: Vec<u8>,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// The file's bytes, compressed or not.
    Bytes(Vec<u8>),
    /// A file that GRUB does not decompress, with the SHA-256 that was computed while it was looked
    /// at: an initramfs of tens of MiB is neither held nor hashed twice.
    File { path: PathBuf, sha256: Digest },
}

/// A module that cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The file is gzip but damaged or too large.
    #[error("{name}: {source}")]
    Gunzip {
        /// The module.
        name: String,
        /// What is wrong with it.
        source: GunzipError,
    },
    /// The file cannot be read (any more).
    #[error("cannot read {name}: {source}")]
    Read {
        /// The module.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The command line is longer than tboot's buffer.
    #[error(
        "{name}: the command line has {found} bytes, but tboot hashes at most {MAX_CMDLINE}: shorten it"
    )]
    CmdlineTooLong {
        /// The module.
        name: String,
        /// The length found, in bytes.
        found: usize,
    },
    /// A command line with a NUL in it, which no boot loader can pass.
    #[error("{name}: the command line holds a NUL byte at position {position}")]
    CmdlineNul {
        /// The module.
        name: String,
        /// Where, in bytes from the begin.
        position: usize,
    },
}

impl Module {
    /// A module: its name for messages, the command line as GRUB passes it, and the file's bytes.
    pub fn new(
        name: impl Into<String>,
        cmdline: impl Into<Vec<u8>>,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            name: name.into(),
            cmdline: cmdline.into(),
            content: Content::Bytes(bytes.into()),
        }
    }

    /// The same of a file that GRUB does not decompress.
    pub(crate) fn file(name: String, cmdline: &[u8], path: PathBuf, sha256: Digest) -> Self {
        Self {
            name,
            cmdline: cmdline.to_vec(),
            content: Content::File { path, sha256 },
        }
    }

    /// The hash of the content as it is in memory when tboot hashes it: GRUB decompresses gzip, and
    /// only gzip.
    pub fn content_hash(&self, alg: HashAlg) -> Result<Digest, ModuleError> {
        let name = || self.name.clone();
        match &self.content {
            Content::Bytes(bytes) => match gunzip::gunzip(bytes, MAX_MODULE_LEN) {
                Ok(content) => Ok(alg.digest(&content)),
                Err(source) => Err(ModuleError::Gunzip {
                    name: name(),
                    source,
                }),
            },
            Content::File { sha256, .. } if alg == HashAlg::Sha256 => Ok(sha256.clone()),
            Content::File { path, .. } => File::open(path)
                .and_then(|file| alg.digest_reader(file))
                .map_err(|source| ModuleError::Read {
                    name: name(),
                    source,
                }),
        }
    }

    /// The module's hash: H( H(command line without NUL) || H(content) ).
    pub fn hash(&self, alg: HashAlg) -> Result<Digest, ModuleError> {
        let name = || self.name.clone();
        if let Some(position) = self.cmdline.iter().position(|byte| *byte == 0) {
            return Err(ModuleError::CmdlineNul {
                name: name(),
                position,
            });
        }
        if self.cmdline.len() > MAX_CMDLINE {
            return Err(ModuleError::CmdlineTooLong {
                name: name(),
                found: self.cmdline.len(),
            });
        }
        let cmdline = alg.digest(&self.cmdline);
        let content = self.content_hash(alg)?;
        Ok(alg.digest_parts(&[cmdline.as_bytes(), content.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(cmdline: &[u8], bytes: &[u8]) -> Module {
        Module::new("vmlinuz", cmdline, bytes)
    }

    #[test]
    fn the_hash_covers_command_line_and_content_apart() {
        let alg = HashAlg::Sha256;
        let hash = module(b"ro", b"kernel").hash(alg).unwrap();
        let by_hand = alg.digest_parts(&[
            alg.digest(b"ro").as_bytes(),
            alg.digest(b"kernel").as_bytes(),
        ]);
        assert_eq!(hash, by_hand);
        assert_ne!(hash, module(b"rok", b"ernel").hash(alg).unwrap());
        assert_ne!(hash, module(b"ro ", b"kernel").hash(alg).unwrap());
    }

    #[test]
    fn a_command_line_that_tboot_would_cut_is_refused() {
        assert!(module(&[b'a'; 1023], b"").hash(HashAlg::Sha1).is_ok());
        let error = module(&[b'a'; 1024], b"").hash(HashAlg::Sha1).unwrap_err();
        assert!(matches!(
            error,
            ModuleError::CmdlineTooLong { found: 1024, .. }
        ));
        let error = module(b"a\0", b"").hash(HashAlg::Sha1).unwrap_err();
        assert!(matches!(error, ModuleError::CmdlineNul { position: 1, .. }));
    }
}
