//! The early archive with CPU microcode, which the kernel reads before it unpacks
//! anything: uncompressed, first in the image, one file for each vendor
//! (Documentation/arch/x86/microcode.rst).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::archive::{self, newc};
use super::tree::{Node, Tree};

/// Largest microcode file; a vendor's whole collection has below 10 MB.
const MAX_MICROCODE: u64 = 64 << 20;

/// Start of the main archive: the kernel needs 4, other tools pad to 512.
const ALIGNMENT: usize = 512;

/// CPU vendor of a microcode file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Updates one after another, each with Intel's 48-byte header.
    Intel,
    /// AMD's container: magic, equivalence table, patches.
    Amd,
}

impl Vendor {
    /// Whose microcode `blob` is, by its first header.
    ///
    /// # Errors
    /// It is neither vendor's.
    pub fn detect(blob: &[u8]) -> Result<Self> {
        let word = |at: usize| {
            blob.get(at..)
                .and_then(|rest| rest.first_chunk::<4>())
                .map(|bytes| u32::from_le_bytes(*bytes))
        };
        // AMD: magic "DMA\0", then the equivalence table, type 0.
        if word(0) == Some(0x0041_4d44) && word(4) == Some(0) {
            return Ok(Self::Amd);
        }
        // Intel: header version 1, loader revision 1, sizes in multiples of 4
        // (0 stands for 2048 bytes with header).
        if word(0) == Some(1) && word(20) == Some(1) && blob.len() >= 48 {
            let total = match word(32) {
                Some(0) | None => 2048,
                Some(size) => usize::try_from(size)?,
            };
            if total % 4 == 0
                && total >= 48
                && blob
                    .get(..total)
                    .is_some_and(|update| checksum(update) == 0)
            {
                return Ok(Self::Intel);
            }
            bail!("it begins as Intel microcode, but its size or checksum is wrong");
        }
        bail!("it begins neither as Intel nor as AMD microcode");
    }

    /// Where the kernel looks for it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Intel => "kernel/x86/microcode/GenuineIntel.bin",
            Self::Amd => "kernel/x86/microcode/AuthenticAMD.bin",
        }
    }
}

/// The sum of an Intel update's 32-bit words, which is 0 for an undamaged one.
fn checksum(update: &[u8]) -> u32 {
    update
        .chunks_exact(4)
        .filter_map(|word| word.first_chunk::<4>())
        .fold(0, |sum: u32, word| {
            sum.wrapping_add(u32::from_le_bytes(*word))
        })
}

/// The early archive for the microcode in `path`, padded so that the main archive
/// can follow.
///
/// # Errors
/// The file cannot be read or is not a vendor's microcode.
pub fn early_archive(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read --microcode {}", path.display()))?;
    if !size.is_file() || size.len() > MAX_MICROCODE {
        bail!(
            "--microcode {} is not a regular file of at most {MAX_MICROCODE} bytes; give one file, \
             several of a vendor put together with cat",
            path.display()
        );
    }
    let blob =
        fs::read(path).with_context(|| format!("cannot read --microcode {}", path.display()))?;
    let files = if newc::is_newc(&blob) {
        unpacked(&blob)
    } else {
        Vendor::detect(&blob).map(|vendor| vec![(vendor, blob)])
    };
    let files = files.with_context(|| format!("--microcode {} is not usable", path.display()))?;
    let mut tree = Tree::default();
    for (vendor, data) in files {
        tree.insert(vendor.path(), Node::File { mode: 0o644, data })?;
    }
    let mut archive = tree.to_newc()?;
    archive.resize(archive.len().next_multiple_of(ALIGNMENT), 0);
    Ok(archive)
}

/// The microcode in a ready-made early archive, such as other distributions' intel-ucode.img. Only
/// microcode is taken: what else the kernel would use from there (ACPI tables, say) changes the
/// machine and has to be asked for.
fn unpacked(image: &[u8]) -> Result<Vec<(Vendor, Vec<u8>)>> {
    let parts = archive::read(image).context("it begins as an early archive")?;
    let mut files = Vec::new();
    for part in &parts {
        if part.packing.is_some() {
            bail!("it is a whole initramfs: behind its early archive there is a packed one");
        }
        for (entry, data) in part.entries.iter().zip(part.contents()) {
            let name = String::from_utf8_lossy(&entry.name);
            let name = name.trim_start_matches("./").trim_start_matches('/');
            let is_file = entry.mode & 0o170_000 == 0o100_000;
            // dracut marks its early archives with a file of that name.
            if !is_file || name == "early_cpio" {
                continue;
            }
            let vendor = [Vendor::Intel, Vendor::Amd]
                .into_iter()
                .find(|vendor| vendor.path() == name);
            let Some(vendor) = vendor else {
                bail!("it is an early archive with {name}, which is not microcode");
            };
            let found = Vendor::detect(data).with_context(|| format!("{name} in it"))?;
            if found != vendor {
                bail!("{name} in it holds the other vendor's microcode");
            }
            files.push((vendor, data.to_vec()));
        }
    }
    if files.is_empty() {
        bail!("it is an early archive without microcode");
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Intel update of 2048 bytes with a right checksum.
    fn intel() -> Vec<u8> {
        let mut blob = vec![0_u8; 2048];
        blob[0] = 1;
        blob[20] = 1;
        blob[100] = 7;
        let sum = checksum(&blob[..2048]);
        blob[16..20].copy_from_slice(&0_u32.wrapping_sub(sum).to_le_bytes());
        blob
    }

    #[test]
    fn vendors_are_told_by_their_headers() {
        assert_eq!(Vendor::detect(&intel()).unwrap(), Vendor::Intel);
        assert_eq!(
            Vendor::detect(b"DMA\0\0\0\0\0\0\0\0\0").unwrap(),
            Vendor::Amd
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let mut damaged = intel();
        damaged[200] ^= 1;
        for blob in [
            damaged,
            Vec::new(),
            vec![0; 100],
            b"DMA".to_vec(),
            intel()[..60].to_vec(),
        ] {
            assert!(Vendor::detect(&blob).is_err());
        }
    }

    #[test]
    fn the_early_archive_is_aligned_and_uncompressed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ucode");
        fs::write(&path, intel()).unwrap();
        let archive = early_archive(&path).unwrap();
        assert_eq!(archive.len() % ALIGNMENT, 0);
        assert!(archive.starts_with(b"070701"));
    }

    #[test]
    fn a_ready_made_archive_gives_the_same_as_the_raw_file_and_may_hold_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, made) = (
            directory.path().join("raw"),
            directory.path().join("ucode.img"),
        );
        fs::write(&raw, intel()).unwrap();
        let expected = early_archive(&raw).unwrap();
        fs::write(&made, &expected).unwrap();
        assert!(early_archive(&made).unwrap() == expected);

        let archive = |files: &[(&str, Vec<u8>)]| {
            let mut tree = Tree::default();
            for (path, data) in files {
                let (mode, data) = (0o644, data.clone());
                tree.insert(path, Node::File { mode, data }).unwrap();
            }
            tree.to_newc().unwrap()
        };
        let good = (Vendor::Intel.path(), intel());
        for (files, reason) in [
            (
                vec![good.clone(), ("kernel/firmware/acpi/dsdt.aml", vec![1])],
                "dsdt.aml",
            ),
            (vec![(Vendor::Amd.path(), intel())], "other vendor"),
            (
                vec![(Vendor::Intel.path(), vec![0; 100])],
                "GenuineIntel.bin",
            ),
            (vec![("early_cpio", vec![b'1'])], "without microcode"),
        ] {
            fs::write(&made, archive(&files)).unwrap();
            let error = format!("{:#}", early_archive(&made).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
        let mut whole = expected.clone();
        whole.extend(zstd::encode_all(archive(&[good]).as_slice(), 3).unwrap());
        fs::write(&made, whole).unwrap();
        let error = format!("{:#}", early_archive(&made).unwrap_err());
        assert!(error.contains("whole initramfs"), "{error}");
    }
}
