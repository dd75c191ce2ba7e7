//! The hash of a module as tboot measures it: H( H(command line) || H(content) ).

use std::borrow::Cow;

use lcp::{
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
    /// The file's bytes, compressed or not.
    bytes: Vec<u8>,
    /// SHA-256 of `bytes`, where it is known and they are not compressed.
    sha256: Option<Digest>,
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
        Module {
            name: name.into(),
            cmdline: cmdline.into(),
            bytes: bytes.into(),
            sha256: None,
        }
    }

    /// The same for a file that GRUB does not decompress and whose SHA-256 has been computed: large
    /// files are then hashed once.
    pub(crate) fn hashed(name: String, cmdline: &[u8], bytes: Vec<u8>, sha256: Digest) -> Self {
        Module {
            sha256: Some(sha256),
            ..Module::new(name, cmdline, bytes)
        }
    }

    /// The file's bytes, compressed or not.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content as it is in memory when tboot hashes it: GRUB decompresses gzip, and only gzip.
    pub fn content(&self) -> Result<Cow<'_, [u8]>, ModuleError> {
        gunzip::gunzip(&self.bytes, MAX_MODULE_LEN).map_err(|source| ModuleError::Gunzip {
            name: self.name.clone(),
            source,
        })
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
        let content = match (&self.sha256, alg) {
            (Some(known), HashAlg::Sha256) => known.clone(),
            _ => alg.digest(&self.content()?),
        };
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
