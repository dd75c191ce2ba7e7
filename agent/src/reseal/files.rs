//! The files of a launch, read by the resident agent itself: each once, and what it computes of
//! a file it computes of the bytes that it read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::libc;
use sha2::{Digest, Sha256};
use txt::{gunzip, mlehash::Mle};

use super::protocol::MeasuredFile;

/// tboot, kernel, initramfs and some modules.
const MAX_FILES: usize = 64;
/// Most that GRUB could load below 4 GiB.
const MAX_FILE: u64 = 2 << 30;
/// Longest file that is decompressed, in bytes; it is held in locked memory meanwhile.
const MAX_PACKED: u64 = 256 << 20;
const MAX_UNPACKED: usize = 512 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What was read.
pub(super) struct ReadFile {
    /// SHA-256 of the content as tboot hashes it: GRUB decompresses gzip.
    pub content: [u8; 32],
    /// Of a file that is measured as tboot.
    pub mle: Option<Mle>,
    /// A SINIT module or policy data, which tboot does not measure.
    pub taken_away: bool,
}

/// Why a file of the request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileError {
    /// None, or more than a launch has.
    #[error("a launch has 1 to {MAX_FILES} files, the request names {0}")]
    Number(usize),
    /// It cannot be read.
    #[error("{path:?}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// Elsewhere, or through a link.
    #[error(
        "{path:?} is not a file in {boot}: a launch is sealed for files that lie there, named without links"
    )]
    Elsewhere {
        /// The file.
        path: String,
        /// Where files have to lie.
        boot: String,
    },
    /// Another content than the prediction was made of.
    #[error(
        "{path:?} was changed after the launch was predicted: its SHA-256 is {found}, but {predicted:?} was predicted; predict again"
    )]
    Changed {
        /// The file.
        path: String,
        /// Its digest.
        found: String,
        /// That of the request.
        predicted: String,
    },
    /// Nobody vouches for its content.
    #[error(
        "{path:?} (SHA-256 {sha256}) is not known on the encrypted root: neither built here nor installed by a package nor named with `taoboot trust`"
    )]
    Unknown {
        /// The file.
        path: String,
        /// Its digest.
        sha256: String,
    },
}

/// Reads each file. It must lie below `boot`, itself and not through a link, have the content
/// that was predicted, and be known to have that content.
///
/// # Errors
/// One sentence that names the file.
pub(super) fn read(
    files: &[MeasuredFile],
    boot: &Path,
    knows: &dyn Fn(&str, &str) -> bool,
    is_tboot: impl Fn(usize) -> bool,
) -> Result<Vec<ReadFile>, FileError> {
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(FileError::Number(files.len()));
    }
    let numbered = files.iter().enumerate();
    numbered
        .map(|(number, file)| read_one(file, boot, knows, is_tboot(number)))
        .collect()
}

fn read_one(
    file: &MeasuredFile,
    boot: &Path,
    knows: &dyn Fn(&str, &str) -> bool,
    is_tboot: bool,
) -> Result<ReadFile, FileError> {
    let shown: String = file.path.chars().take(200).collect();
    let unreadable = |error: io::Error| FileError::Unreadable {
        path: shown.clone(),
        reason: error.to_string(),
    };
    let path = Path::new(&file.path);
    let real = fs::canonicalize(path).map_err(unreadable)?;
    if real != path || !real.starts_with(boot) {
        return Err(FileError::Elsewhere {
            path: shown,
            boot: boot.display().to_string(),
        });
    }
    let read = open(path).and_then(|file| content(file, is_tboot));
    let (digest, read) = read.map_err(unreadable)?;
    if !digest.eq_ignore_ascii_case(&file.sha256) {
        return Err(FileError::Changed {
            path: shown,
            found: digest,
            predicted: file.sha256.chars().take(64).collect(),
        });
    }
    let stands_at = file.stands_at.as_ref().unwrap_or(&file.path);
    if knows(stands_at, &digest) {
        return Ok(read);
    }
    Err(FileError::Unknown {
        path: shown,
        sha256: digest,
    })
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(io::Error::other("is too large for GRUB"));
    }
    Ok(file)
}

/// The digest of the file as it lies there, and what else is computed of the same bytes.
fn content(mut file: File, is_tboot: bool) -> io::Result<(String, ReadFile)> {
    let mut begin = Vec::new();
    (&mut file).take(32).read_to_end(&mut begin)?;
    if !is_tboot && !begin.starts_with(&GZIP_MAGIC) {
        // An initramfs of tens of MiB is not held.
        let mut hash = Hasher(Sha256::new_with_prefix(&begin));
        io::copy(&mut file.take(MAX_FILE), &mut hash)?;
        let digest: [u8; 32] = hash.0.finalize().into();
        let read = ReadFile {
            content: digest,
            mle: None,
            taken_away: taken_away(&begin),
        };
        return Ok((hex::encode(digest), read));
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_PACKED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PACKED {
        return Err(io::Error::other("is too large to be decompressed here"));
    }
    let digest = hex::encode(Sha256::digest(&bytes));
    let unpacked = gunzip::gunzip(&bytes, MAX_UNPACKED).map_err(io::Error::other)?;
    let mle = if is_tboot {
        Some(Mle::parse(&unpacked).map_err(io::Error::other)?)
    } else {
        None
    };
    let read = ReadFile {
        content: Sha256::digest(&unpacked).into(),
        mle,
        taken_away: taken_away(&unpacked),
    };
    Ok((digest, read))
}

/// Does it begin as what tboot takes away: a chipset module of Intel's, or policy data?
fn taken_away(begin: &[u8]) -> bool {
    let module = begin.starts_with(&[2, 0]) && begin.get(16..20) == Some(&[0x86, 0x80, 0, 0]);
    module || begin.starts_with(b"Intel(R) TXT LCP_POLICY_DATA\0\0\0\0")
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::reseal::boot_files::{BootFiles, KnownFile, Origin};

    fn named(path: &Path, content: &[u8]) -> MeasuredFile {
        MeasuredFile {
            path: path.to_str().unwrap().into(),
            sha256: hex::encode(Sha256::digest(content)),
            stands_at: None,
        }
    }

    #[test]
    fn only_a_known_file_below_boot_with_the_predicted_content_passes() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let boot = root.join("boot");
        fs::create_dir_all(boot.join("grub")).unwrap();
        for name in ["vmlinuz", "planted"] {
            fs::write(boot.join(name), b"kernel").unwrap();
        }
        fs::write(root.join("outside"), b"kernel").unwrap();
        std::os::unix::fs::symlink(root.join("outside"), boot.join("link")).unwrap();
        let mut known = BootFiles::default();
        let kernel = named(&boot.join("vmlinuz"), b"kernel");
        let digest = KnownFile {
            sha256: kernel.sha256.clone(),
            origin: Origin::Built,
            coming: false,
        };
        known.set(&kernel.path, digest);
        let knows = |path: &str, digest: &str| known.knows(path, digest);
        let check = |file| read(&[file], &boot, &knows, |_| false).map(|read| read[0].content);
        assert_eq!(check(kernel.clone()), Ok(Sha256::digest(b"kernel").into()));
        for (path, content, words) in [
            (boot.join("vmlinuz"), "other", "was changed"),
            (boot.join("planted"), "kernel", "is not known"),
            (root.join("outside"), "kernel", "not a file in"),
            (boot.join("link"), "kernel", "not a file in"),
            (boot.join("grub/../vmlinuz"), "kernel", "not a file in"),
            (boot.join("grub"), "kernel", "not a regular file"),
            (boot.join("nothing"), "kernel", "No such file"),
        ] {
            let error = check(named(&path, content.as_bytes()))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{path:?}: {error}");
        }
        let tboot = |_| true;
        let error = read(&[kernel], &boot, &knows, tboot)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("tboot"), "{error}");
        assert!(read(&[], &boot, &knows, tboot).is_err());
    }

    #[test]
    fn what_grub_decompresses_is_hashed_as_tboot_sees_it() {
        // `printf kernel | gzip -n`.
        let packed = hex::decode("1f8b0800000000000003cb4e2dca4bcd0100ab9ad25d06000000").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &packed).unwrap();
        let (digest, read) = content(open(file.path()).unwrap(), false).unwrap();
        assert_eq!(digest, hex::encode(Sha256::digest(&packed)));
        assert_eq!(read.content[..], Sha256::digest(b"kernel")[..]);
    }
}
