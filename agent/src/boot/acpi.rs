//! Which code the kernel was given in ACPI's tables.
//!
//! The kernel runs the code in them (AML) before /init, and it may read and write all memory. TXT
//! measures none of it, and GRUB's command `acpi` adds tables out of files that nobody authenticates.
//! So the tables that may carry code are read before anything else is loaded, and their digest goes into the
//! boot's report, into the boot event of PCR 15, and is compared with the one that the measured
//! configuration pins. Code that has run already can show other tables than those it came from: what
//! is found here are tables that do not hide themselves.
//!
//! More may be loaded afterwards: see [`super::acpi_later`].

use std::{fmt, fs, io, io::Read as _, path::Path};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use tao::attestation;

use crate::config::AcpiPin;

/// Where the kernel shows them.
pub const TABLES: &str = "/sys/firmware/acpi/tables";
/// Those that code of other tables has loaded.
const DYNAMIC: &str = "dynamic";
/// Tables of data (ACPI 6.5, tables 5.5 and 5.6), which have no code of AML. Many of them change from
/// boot to boot: addresses of logs (TPM2, TCPA), times (FPDT), the wake vector (FACS), the logo's (BGRT),
/// what failed (BERT), pointers (FACP). All others may carry code: the kernel runs DSDT, SSDT, PSDT and
/// OSDT, and code may load a table of any other signature (LoadTable), usually `OEM1` and its like.
const DATA: &[&str] = &[
    "AEST", "AGDI", "APIC", "APMT", "ASPT", "BDAT", "BERT", "BGRT", "BOOT", "CCEL", "CDIT", "CEDT",
    "CPEP", "CRAT", "CSRT", "DBG2", "DBGP", "DMAR", "DRTM", "ECDT", "EINJ", "ERST", "ETDT", "FACP",
    "FACS", "FPDT", "GTDT", "HEST", "HMAT", "HPET", "IBFT", "IERS", "IORT", "IVRS", "KEYP", "LPIT",
    "MCFG", "MCHI", "MPAM", "MPST", "MSCT", "MSDM", "NBFT", "NFIT", "NHLT", "PCCT", "PHAT", "PMTT",
    "PPTT", "PRMT", "RAS2", "RASF", "RGRT", "S3PT", "SBST", "SDEI", "SDEV", "SLIC", "SLIT", "SPCR",
    "SPMI", "SRAT", "STAO", "SVKL", "SWFT", "TCPA", "TPM2", "UEFI", "VIOT", "WAET", "WDAT", "WDDT",
    "WDRT", "WPBT", "WSMT", "XENV",
];
/// Real machines have some thirty, of 300 KiB together.
const MOST_TABLES: usize = 256;
const LARGEST: u64 = 8 << 20;
const MOST_BYTES: u64 = 32 << 20;
/// What the digest begins with; the number is the version of its form.
const HEAD: &str = "taoboot acpi tables 1\n";

/// The tables with code, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// SHA-256 over [`HEAD`] and a line for each: its name, a blank, its digest.
    #[serde(serialize_with = "as_hex", deserialize_with = "from_hex")]
    digest: [u8; 32],
    /// As the kernel names them, in the digest's order: `DSDT 90ab...`.
    tables: Vec<String>,
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", hex::encode(self.digest), self.tables.len())
    }
}

fn as_hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(digest))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let mut digest = [0; 32];
    hex::decode_to_slice(String::deserialize(deserializer)?, &mut digest)
        .map_err(D::Error::custom)?;
    Ok(digest)
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// These.
    Tables(Tables),
    /// The kernel has no ACPI.
    None,
    /// They could not be read, for this reason.
    Unknown(String),
}

/// The tables are not those that are pinned. The TPM is not asked then.
#[derive(Debug, thiserror::Error)]
#[error(
    "the ACPI tables whose code the kernel runs are {found}, and the measured configuration pins {pinned} (acpi_tables), so the TPM is not asked for the disk key: if the firmware was not updated or set up anew, something before the launch has given the kernel other tables (GRUB's acpi command)"
)]
pub struct OtherTables {
    found: String,
    pinned: String,
}

impl Tables {
    /// Of all of them.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Each with its name.
    pub fn lines(&self) -> &[String] {
        &self.tables
    }

    /// Those that `before` does not have, or has with other content.
    pub fn beside(&self, before: Option<&Self>) -> Vec<&str> {
        let known = |line: &&String| before.is_none_or(|before| !before.tables.contains(line));
        let added = self.tables.iter().filter(known);
        added.map(String::as_str).collect()
    }
}

impl Found {
    /// What was read, if it could be.
    pub const fn tables(&self) -> Option<&Tables> {
        match self {
            Self::Tables(tables) => Some(tables),
            Self::None | Self::Unknown(_) => None,
        }
    }

    /// As the boot event has it.
    pub fn event(&self) -> attestation::AcpiTables {
        match self {
            Self::Tables(tables) => attestation::AcpiTables::Digest(tables.digest),
            Self::None => attestation::AcpiTables::None,
            Self::Unknown(_) => attestation::AcpiTables::Unknown,
        }
    }

    /// Are they those that are pinned, if any are?
    pub fn check(&self, pinned: Option<&AcpiPin>) -> Result<(), OtherTables> {
        let Some(pinned) = pinned else {
            return Ok(());
        };
        let found = match self {
            Self::Tables(tables) if tables.digest == *pinned.digest() => return Ok(()),
            Self::Tables(tables) => hex::encode(tables.digest),
            Self::None => "none".to_owned(),
            Self::Unknown(why) => format!("not known ({why})"),
        };
        Err(OtherTables {
            found,
            pinned: hex::encode(pinned.digest()),
        })
    }
}

/// Reads them as the kernel shows them now.
pub fn find(directory: &Path) -> Found {
    match read(directory) {
        Ok(Some(tables)) => Found::Tables(tables),
        Ok(None) => Found::None,
        Err(error) => Found::Unknown(printable::line(error).to_string()),
    }
}

fn read(directory: &Path) -> io::Result<Option<Tables>> {
    let Some(mut names) = names_in(directory)? else {
        return Ok(None);
    };
    names.sort();
    // A kernel that was told to load none has no such directory.
    let mut dynamic = names_in(&directory.join(DYNAMIC))?.unwrap_or_default();
    dynamic.sort();
    let files = names.iter().map(Name::file);
    let files = files.chain(
        dynamic
            .iter()
            .map(|name| format!("{DYNAMIC}/{}", name.file())),
    );
    let files: Vec<String> = files.take(MOST_TABLES.saturating_add(1)).collect();
    if files.len() > MOST_TABLES {
        return Err(io::Error::other(format!("more than {MOST_TABLES} tables")));
    }
    let mut left = MOST_BYTES;
    let mut whole = Sha256::new_with_prefix(HEAD);
    let mut tables = Vec::new();
    for name in files {
        let table = read_table(&directory.join(&name), left.min(LARGEST))
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        left = left.saturating_sub(table.len() as u64);
        let line = format!("{name} {}", hex::encode(Sha256::digest(&table)));
        whole.update(&line);
        whole.update("\n");
        tables.push(line);
    }
    Ok(Some(Tables {
        digest: whole.finalize().into(),
        tables,
    }))
}

fn read_table(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut table = Vec::new();
    let length = fs::File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut table)?;
    if length as u64 > most {
        return Err(io::Error::other(format!("larger than {most} bytes")));
    }
    Ok(table)
}

/// A table's signature of four characters, and its number where there are several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    signature: String,
    number: Option<u32>,
}

impl Name {
    fn parse(file: &str) -> Option<Self> {
        let (signature, digits) = file.split_at_checked(4)?;
        let number = match digits {
            "" => None,
            digits => Some(digits.parse().ok()?),
        };
        let name = Self {
            signature: signature.to_owned(),
            number,
        };
        // Another spelling of a number is not the kernel's.
        (name.file() == file).then_some(name)
    }

    fn file(&self) -> String {
        let number = self
            .number
            .map_or_else(String::new, |number| number.to_string());
        format!("{}{number}", self.signature)
    }
}

/// The tables with code; `None` if there is no such directory.
fn names_in(directory: &Path) -> io::Result<Option<Vec<Name>>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let file = file.to_string_lossy();
        match Name::parse(&file) {
            // Directories: of data that tables point to, and of tables that are read by themselves.
            _ if matches!(&*file, "data" | DYNAMIC) => {}
            Some(name) if DATA.contains(&name.signature.as_str()) => {}
            Some(name) => names.push(name),
            None => return Err(io::Error::other(format!("{file}: what table is that?"))),
        }
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for (name, content) in [
                ("DSDT", "d"),
                ("SSDT1", "one"),
                ("SSDT2", "two"),
                ("SSDT10", "ten"),
                ("APIC", "data"),
                ("TPM2", "data"),
                ("dynamic/SSDT11", "loaded"),
                ("data/CCEL", "data"),
            ] {
                machine.write(name, content);
            }
            machine
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn tables(&self) -> Tables {
            match find(self.0.path()) {
                Found::Tables(tables) => tables,
                other => panic!("{other:?}"),
            }
        }
    }

    /// LoadTable runs code out of a table of any signature: firmware calls them OEM1 and the like.
    #[test]
    fn a_table_of_an_unknown_signature_is_in_the_digest_and_one_of_data_is_not() {
        let machine = Machine::new();
        let digest = || match find(machine.0.path()) {
            Found::Tables(tables) => tables.digest,
            other => panic!("{other:?}"),
        };
        let before = digest();
        fs::write(machine.0.path().join("HPET"), "data").unwrap();
        assert_eq!(digest(), before);
        for name in ["OEM1", "OEM12", "XYZ_"] {
            let path = machine.0.path().join(name);
            fs::write(&path, "code").unwrap();
            assert_ne!(digest(), before, "{name}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn the_digest_is_of_every_table_with_code_in_a_fixed_order_and_of_no_other() {
        let machine = Machine::new();
        let before = machine.tables();
        let names: Vec<&str> = before
            .tables
            .iter()
            .map(|line| line.split_once(' ').unwrap().0)
            .collect();
        assert_eq!(
            names,
            ["DSDT", "SSDT1", "SSDT2", "SSDT10", "dynamic/SSDT11"]
        );
        // Computed with Python's hashlib.
        assert_eq!(hex::encode(before.digest), DIGEST);
        machine.write("APIC", "other");
        machine.write("FACS", "new");
        assert_eq!(machine.tables().digest, before.digest);
        for (name, content, old) in [
            ("DSDT", "D", Some("d")),
            ("SSDT10", "", Some("ten")),
            ("dynamic/SSDT11", "other", Some("loaded")),
            ("SSDT3", "added", None),
            ("PSDT", "added", None),
            ("OSDT", "added", None),
            ("dynamic/SSDT12", "added", None),
        ] {
            machine.write(name, content);
            assert_ne!(machine.tables().digest, before.digest, "{name}");
            match old {
                Some(old) => machine.write(name, old),
                None => fs::remove_file(machine.0.path().join(name)).unwrap(),
            }
        }
        // Two that change places are another order of execution.
        machine.write("SSDT1", "two");
        machine.write("SSDT2", "one");
        assert_ne!(machine.tables().digest, before.digest);
    }

    #[test]
    fn only_the_pinned_tables_pass_and_any_where_none_are_pinned() {
        let machine = Machine::new();
        let found = find(machine.0.path());
        let pin = AcpiPin::try_from(DIGEST.to_owned()).unwrap();
        found.check(Some(&pin)).unwrap();
        machine.write("SSDT3", "added");
        let other = find(machine.0.path());
        other.check(None).unwrap();
        let refused = other.check(Some(&pin)).unwrap_err().to_string();
        assert!(
            refused.contains(DIGEST) && !refused.contains('\n'),
            "{refused}"
        );
        for unknown in [Found::None, Found::Unknown("x".into())] {
            unknown.check(None).unwrap();
            assert!(unknown.check(Some(&pin)).is_err());
        }
    }

    #[test]
    fn what_cannot_be_read_whole_is_not_known() {
        let machine = Machine::new();
        assert!(matches!(find(&machine.0.path().join("none")), Found::None));
        for name in ["SSDT01", "SSDTx", "DSDT-1"] {
            machine.write(name, "");
            assert!(
                matches!(find(machine.0.path()), Found::Unknown(_)),
                "{name}"
            );
            fs::remove_file(machine.0.path().join(name)).unwrap();
        }
        let large = fs::File::create(machine.0.path().join("SSDT3")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert!(matches!(find(machine.0.path()), Found::Unknown(_)));
        fs::remove_file(machine.0.path().join("SSDT3")).unwrap();
        fs::create_dir(machine.0.path().join("SSDT4")).unwrap();
        assert!(matches!(find(machine.0.path()), Found::Unknown(_)));
        fs::remove_dir(machine.0.path().join("SSDT4")).unwrap();
        for number in 100..100 + MOST_TABLES {
            machine.write(&format!("SSDT{number}"), "");
        }
        assert!(matches!(find(machine.0.path()), Found::Unknown(_)));
    }

    const DIGEST: &str = "b9ce5c423d5258458c97c47d44a74ef5c70c03f9e564dae0d782ff4aa3f42329";
}
