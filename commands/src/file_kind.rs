//! What a file looks like, from its first bytes.
//!
//! Nothing follows from it but a sentence: a file that is read is always checked by its own parser.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// How much of a file is looked at, in bytes.
pub const LOOKED_AT: usize = 64 << 10;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing in it.
    Empty,
    /// Nothing but bytes of one value, 00 or ff.
    Blank,
    /// A directory.
    Folder,
    /// What `txt-stat` prints.
    TxtStat,
    /// What tboot prints, on the serial port or in txt-stat's text.
    TbootLog,
    /// JSON.
    Json,
    /// A GRUB configuration.
    GrubConfig,
    /// GRUB's environment block.
    GrubEnvironment,
    /// A key or certificate.
    Pem,
    /// A text of another kind.
    Text,
    /// An ELF file.
    Elf,
    /// A Linux kernel (bzImage).
    Kernel,
    /// A PE file: an EFI program.
    Pe,
    /// Compressed, by this program.
    Compressed(&'static str),
    /// A cpio archive, as an initramfs is.
    Cpio,
    /// A ZIP archive.
    Zip,
    /// A tar archive.
    Tar,
    /// A PDF file.
    Pdf,
    /// An ACPI table with this signature.
    AcpiTable([u8; 4]),
    /// An authenticated code module of Intel's.
    Acm,
    /// Data of a launch control policy.
    PolicyData,
    /// TXT's event container of TPM 1.2.
    EventContainer,
    /// TCG's crypto-agile event log.
    AgileLog,
    /// A LUKS header.
    Luks,
    /// Bytes of no kind that is known here.
    Other,
}

impl FileKind {
    /// What a file at a path looks like.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Ok(Self::Folder);
        }
        let mut bytes = Vec::new();
        file.take(LOOKED_AT as u64).read_to_end(&mut bytes)?;
        Ok(Self::of(&bytes))
    }

    /// What these bytes, a file's first or all of it, look like.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
        let found = blank(bytes)
            .or_else(|| magic(bytes))
            .or_else(|| structure(bytes))
            .or_else(|| text(bytes));
        found.unwrap_or(Self::Other)
    }
}

fn blank(bytes: &[u8]) -> Option<FileKind> {
    let Some(first) = bytes.first() else {
        return Some(FileKind::Empty);
    };
    let same = matches!(first, 0 | 0xff) && bytes.iter().all(|byte| byte == first);
    same.then_some(FileKind::Blank)
}

/// Signatures at the beginning.
fn magic(bytes: &[u8]) -> Option<FileKind> {
    let table: [(&[u8], FileKind); 19] = [
        (b"\x7fELF", FileKind::Elf),
        (b"\x1f\x8b", FileKind::Compressed("gzip")),
        (b"\xfd7zXZ\0", FileKind::Compressed("xz")),
        (b"\x28\xb5\x2f\xfd", FileKind::Compressed("zstd")),
        (b"BZh", FileKind::Compressed("bzip2")),
        (b"\x04\x22\x4d\x18", FileKind::Compressed("lz4")),
        (b"\x02\x21\x4c\x18", FileKind::Compressed("lz4")),
        (b"\x5d\0\0", FileKind::Compressed("lzma")),
        (b"070701", FileKind::Cpio),
        (b"070702", FileKind::Cpio),
        (b"070707", FileKind::Cpio),
        (b"PK\x03\x04", FileKind::Zip),
        (b"%PDF-", FileKind::Pdf),
        (b"LUKS\xba\xbe", FileKind::Luks),
        (b"SKUL\xba\xbe", FileKind::Luks),
        (b"TXT Event Container\0", FileKind::EventContainer),
        (b"Intel(R) TXT LCP_POLICY_DATA", FileKind::PolicyData),
        (b"# GRUB Environment Block\n", FileKind::GrubEnvironment),
        (b"-----BEGIN ", FileKind::Pem),
    ];
    let found = table.iter().find(|(begin, _)| bytes.starts_with(begin));
    found.map(|(_, kind)| *kind)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

/// What shows further inside.
fn structure(bytes: &[u8]) -> Option<FileKind> {
    let has = |at: usize, sign: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(sign));
    // The setup header of Linux's boot protocol; a kernel with an EFI stub begins with MZ, too.
    if has(0x202, b"HdrS") && has(0x1fe, b"\x55\xaa") {
        return Some(FileKind::Kernel);
    }
    if has(0, b"MZ") {
        return Some(FileKind::Pe);
    }
    if has(32, b"Spec ID Event03\0") {
        return Some(FileKind::AgileLog);
    }
    if has(257, b"ustar") {
        return Some(FileKind::Tar);
    }
    // Module type 2 (chipset) in the first word, Intel as vendor.
    if has(0, b"\x02\0") && u32_at(bytes, 16) == Some(0x8086) {
        return Some(FileKind::Acm);
    }
    acpi(bytes)
}

/// Signature, length, and bytes that add up to zero.
fn acpi(bytes: &[u8]) -> Option<FileKind> {
    let signature: [u8; 4] = *bytes.first_chunk()?;
    let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let len = usize::try_from(u32_at(bytes, 4)?).ok()?;
    if !signature.iter().all(fits) || len < 36 {
        return None;
    }
    let table = bytes.get(..len)?;
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    (sum == 0).then_some(FileKind::AcpiTable(signature))
}

fn text(bytes: &[u8]) -> Option<FileKind> {
    let text = String::from_utf8_lossy(bytes);
    // A serial port's capture may have any byte between tboot's words.
    if text.contains("TBOOT: ") || text.contains("<3>TBOOT:") {
        return Some(FileKind::TbootLog);
    }
    if text.contains("TXT Configuration Registers") || text.contains("TXT measured launch:") {
        return Some(FileKind::TxtStat);
    }
    let odd = |c: char| c == '\u{fffd}' || (c.is_control() && !"\n\r\t\u{1b}\u{c}".contains(c));
    // The last character may be cut.
    let whole = text.trim_end_matches('\u{fffd}');
    if whole.is_empty() || whole.contains(odd) {
        return None;
    }
    let begin = whole.trim_start_matches('\u{feff}').trim_start();
    let grub = ["menuentry ", "multiboot2", "set default="];
    Some(match begin.chars().next() {
        Some('{') => FileKind::Json,
        Some('[') if begin.contains('"') || begin.starts_with("[]") => FileKind::Json,
        _ if grub.iter().any(|word| whole.contains(word)) => FileKind::GrubConfig,
        _ => FileKind::Text,
    })
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::Blank => "a file of nothing but zeros (or ff)",
            Self::Folder => "a directory",
            Self::TxtStat => "the text of txt-stat",
            Self::TbootLog => "the output of tboot",
            Self::Json => "JSON",
            Self::GrubConfig => "a GRUB configuration",
            Self::GrubEnvironment => "GRUB's environment block",
            Self::Pem => "a key or certificate (PEM)",
            Self::Text => "a text",
            Self::Elf => "an ELF file",
            Self::Kernel => "a Linux kernel (bzImage)",
            Self::Pe => "an EFI program (PE)",
            Self::Compressed(by) => return write!(f, "a file compressed with {by}"),
            Self::Cpio => "a cpio archive",
            Self::Zip => "a ZIP archive",
            Self::Tar => "a tar archive",
            Self::Pdf => "a PDF file",
            Self::AcpiTable(signature) => {
                return write!(f, "the ACPI table {}", String::from_utf8_lossy(signature));
            }
            Self::Acm => "an authenticated code module (ACM)",
            Self::PolicyData => "data of a launch control policy",
            Self::EventContainer => "an event log of TXT (TPM 1.2)",
            Self::AgileLog => "an event log (TPM 2.0)",
            Self::Luks => "a LUKS header",
            Self::Other => "a binary file of an unknown kind",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ACPI table with a right sum.
    fn table(signature: &[u8; 4]) -> Vec<u8> {
        let mut bytes = signature.to_vec();
        bytes.extend(40u32.to_le_bytes());
        bytes.resize(40, 7);
        let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[9] = bytes[9].wrapping_sub(sum);
        bytes
    }

    fn with(len: usize, signs: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![1; len];
        for (at, sign) in signs {
            bytes[*at..*at + sign.len()].copy_from_slice(sign);
        }
        bytes
    }

    #[test]
    fn each_kind_is_known() {
        let cases: Vec<(Vec<u8>, FileKind)> = vec![
            (b"".into(), FileKind::Empty),
            (vec![0; 9], FileKind::Blank),
            (vec![0xff; 9], FileKind::Blank),
            (b"{\"a\": 1}".into(), FileKind::Json),
            (b"\n [1, \"x\"]".into(), FileKind::Json),
            (b"[policy]\nx = 1\n".into(), FileKind::Text),
            (b"Sch\xc3\xb6n\n".into(), FileKind::Text),
            (b"menuentry 'x' {\n}\n".into(), FileKind::GrubConfig),
            (
                b"# GRUB Environment Block\na=b\n##".into(),
                FileKind::GrubEnvironment,
            ),
            (
                b"Intel(r) TXT Configuration Registers:\n".into(),
                FileKind::TxtStat,
            ),
            (
                b"\xfe\0TBOOT: SINIT matches platform\n".into(),
                FileKind::TbootLog,
            ),
            (b"-----BEGIN PUBLIC KEY-----\n".into(), FileKind::Pem),
            (b"\x7fELF\x02\x01".into(), FileKind::Elf),
            (b"\x1f\x8b\x08".into(), FileKind::Compressed("gzip")),
            (b"\xfd7zXZ\0\0".into(), FileKind::Compressed("xz")),
            (b"\x28\xb5\x2f\xfd\0".into(), FileKind::Compressed("zstd")),
            (b"070701000".into(), FileKind::Cpio),
            (b"PK\x03\x04".into(), FileKind::Zip),
            (table(b"TPM2"), FileKind::AcpiTable(*b"TPM2")),
            (
                with(600, &[(0, b"MZ"), (0x1fe, b"\x55\xaa"), (0x202, b"HdrS")]),
                FileKind::Kernel,
            ),
            (with(600, &[(0, b"MZ")]), FileKind::Pe),
            (
                with(600, &[(0, b"\x02\0\0\0"), (16, &[0x86, 0x80, 0, 0])]),
                FileKind::Acm,
            ),
            (with(600, &[(257, b"ustar")]), FileKind::Tar),
            (with(60, &[(32, b"Spec ID Event03\0")]), FileKind::AgileLog),
            (
                b"TXT Event Container\0\x01".into(),
                FileKind::EventContainer,
            ),
            (vec![1, 2, 3], FileKind::Other),
        ];
        for (bytes, kind) in cases {
            assert_eq!(
                FileKind::of(&bytes),
                kind,
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
            assert!(!kind.to_string().is_empty());
        }
        let mut damaged = table(b"DMAR");
        damaged[20] ^= 1;
        assert_eq!(FileKind::of(&damaged), FileKind::Other);
        assert_eq!(FileKind::of_path("/".as_ref()).unwrap(), FileKind::Folder);
        // A character that the limit cuts in two.
        let mut long = vec![b'x'; LOOKED_AT - 1];
        long.extend("ö".as_bytes());
        assert_eq!(FileKind::of(&long), FileKind::Text);
    }
}
