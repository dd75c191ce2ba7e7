//! Module files: reading and unpacking them, and what their `.modinfo` asks for.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};

use super::super::decompress::{Packing, decompress_all};

/// Largest module, unpacked. The largest of real kernels have 10-20 MB.
const MAX_MODULE: u64 = 512 << 20;

/// The path a module gets in the image: packed ones are unpacked there.
#[must_use]
pub fn image_path(path: &str) -> &str {
    [".gz", ".xz", ".zst", ".lzma"]
        .into_iter()
        .find_map(|suffix| path.strip_suffix(suffix))
        .unwrap_or(path)
}

/// Reads a module file and unpacks it where it is packed.
///
/// # Errors
/// The file is missing, damaged, or no ELF file.
pub fn read_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_unpacked(path, MAX_MODULE)?;
    if !bytes.starts_with(b"\x7fELF") {
        bail!(
            "{} is not a kernel module: it does not begin as an ELF file",
            path.display()
        );
    }
    Ok(bytes)
}

/// Reads a file whose name may end in .gz, .xz, .zst or .lzma, unpacked: all its members, frames
/// or streams, one after another, as gunzip, unzstd and xz read them.
///
/// # Errors
/// The file is missing or damaged, unpacks to more than `limit` bytes, or something that is not
/// of its kind follows.
pub fn read_unpacked(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let packing = match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("gz") => Packing::Gzip,
        Some("xz") => Packing::Xz,
        Some("zst") => Packing::Zstd,
        Some("lzma") => Packing::Lzma,
        _ => return Ok(bytes),
    };
    if Packing::detect(&bytes) != Some(packing) {
        bail!(
            "{} does not hold {} data, as its name says",
            path.display(),
            packing.name()
        );
    }
    decompress_all(packing, &bytes, limit)
        .with_context(|| format!("{} cannot be unpacked", path.display()))
}

/// The firmware files that a module names, below /lib/firmware. Nothing for a file
/// whose sections cannot be read: the kernel will refuse that one by itself.
#[must_use]
pub fn firmware_names(module: &[u8]) -> Vec<String> {
    // Nothing for a file that the kernel refuses, see above.
    let modinfo = modinfo_section(module).unwrap_or_default();
    modinfo
        .split(|&byte| byte == 0)
        .filter_map(|item| std::str::from_utf8(item).ok()?.strip_prefix("firmware="))
        .map(str::to_owned)
        .collect()
}

fn modinfo_section(module: &[u8]) -> Option<&[u8]> {
    let header = FileHeader64::<LittleEndian>::parse(module).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, module).ok()?;
    let (_, section) = sections.section_by_name(endian, b".modinfo")?;
    section.data(endian, module).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_modules_lose_their_last_suffix() {
        assert_eq!(image_path("kernel/a.ko.xz"), "kernel/a.ko");
        assert_eq!(image_path("kernel/a.ko"), "kernel/a.ko");
    }

    #[test]
    fn garbage_names_no_firmware() {
        assert!(firmware_names(b"").is_empty());
        assert!(firmware_names(b"\x7fELF garbage").is_empty());
    }

    #[test]
    fn a_module_that_is_no_elf_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.ko");
        fs::write(&path, "text").unwrap();
        assert!(
            read_module(&path)
                .unwrap_err()
                .to_string()
                .contains("not a kernel module")
        );
        let path = directory.path().join("x.ko.xz");
        fs::write(&path, "text").unwrap();
        assert!(
            read_module(&path)
                .unwrap_err()
                .to_string()
                .contains("does not hold xz")
        );
    }
}
