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
    pub bytes: Vec<u8>,
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
        let content = alg.digest(&self.content()?);
        Ok(alg.digest_parts(&[cmdline.as_bytes(), content.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(cmdline: &[u8], bytes: &[u8]) -> Module {
        Module {
            name: "vmlinuz".into(),
            cmdline: cmdline.to_vec(),
            bytes: bytes.to_vec(),
        }
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
