//! The proof that a machine has no TPM whose latch could stand open.
//!
//! That Linux shows no TPM proves nothing: an `acpi --exclude=TPM2` line in GRUB's configuration,
//! which nobody measures, hides it from the kernel, and its registers answer all the same. Whoever
//! took that for "no TPM" would open a volume with the latch open, and that volume's software could
//! have the secret of the approved launch. So [`NoTpm`] is made only where the measured
//! configuration allows a machine without a TPM, and neither the kernel, nor ACPI, nor the TPM's
//! own registers, nor TXT's registers, nor tboot say otherwise. What cannot be looked at counts as
//! a TPM.
//!
//! A TXT launch needs a TPM at 0xFED40000 (Intel TXT software development guide, 1.4 and B.2), so a
//! firmware TPM at another address, which ACPI alone names, has no launch to give a secret for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tpm::TpmError;

use super::physical_memory::{DevMem, PhysicalMemory};
use crate::config::policies::WithoutTpm;

/// Locality 0 of the TPM's FIFO (TIS) or CRB interface (TCG PC Client Platform TPM Profile, 6.2).
const TPM_LOCALITY_0: u64 = 0xfed4_0000;
/// TPM_ACCESS or TPM_LOC_STATE, TPM_INTERFACE_ID, TPM_DID_VID.
const TPM_REGISTERS: [u64; 3] = [0x000, 0x030, 0xf00];
/// TXT's public configuration registers (TXT software development guide, B.1).
const TXT_PUBLIC: u64 = 0xfed3_0000;
/// TXT.STS: bit 0 is SENTER.DONE, bit 1 SEXIT.DONE.
const TXT_STS: u64 = 0x000;
/// TXT.DIDVID: the vendor in the lower 16 bits.
const TXT_DIDVID: u64 = 0x110;
const INTEL: u32 = 0x8086;
/// `tboot_addr` in the kernel's boot parameters (Documentation/arch/x86/zero-page.rst): where tboot
/// left its shared page, zero where there was no tboot.
const TBOOT_ADDR: std::ops::Range<usize> = 0x58..0x60;

/// ACPI tables that are there only where the firmware has a TPM.
const ACPI_TABLES: [&str; 2] = ["TPM2", "TCPA"];
/// ACPI's names of TPMs, as the kernel's tpm_tis and tpm_crb know them.
const ACPI_DEVICES: [&str; 9] = [
    "MSFT0101", "PNP0C31", "ATM1200", "IFX0102", "BCM0101", "BCM0102", "NSC1200", "ICO0102",
    "STM0176",
];

/// Proof that there is no TPM, and that its owner allows that.
#[derive(Debug)]
pub struct NoTpm {
    _private: (),
}

/// Why "there is no TPM" is not believed, or not enough.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoTpmError {
    /// The owner has not said that this machine may be without one.
    #[error(
        "without a TPM nothing is opened or asked for, unless the measured configuration has \
         no_tpm = \"prompt\" or the measured command line taoboot.no_tpm=prompt"
    )]
    NotAllowed,
    /// Opening it failed in another way than by a missing node.
    #[error(
        "a TPM that cannot be used is there all the same: nothing is opened or asked for, because its \
         latch cannot be closed"
    )]
    Unusable,
    /// A TPM is there that Linux does not know.
    #[error("there is a TPM ({0}), so nothing is opened or asked for: its latch cannot be closed")]
    Present(String),
    /// A launch needs a TPM.
    #[error(
        "a measured launch took place ({0}), so there is a TPM, whose latch cannot be closed: \
         nothing is opened or asked for"
    )]
    Launched(String),
    /// It could not be found out.
    #[error(
        "{what} cannot be read ({reason}), so it is not certain that there is no TPM: nothing is opened or asked for"
    )]
    Unknown {
        /// What was looked at.
        what: String,
        /// The system's reason.
        reason: String,
    },
}

/// Where the machine is looked at.
pub struct Platform<'a> {
    root: PathBuf,
    memory: &'a dyn PhysicalMemory,
}

impl<'a> Platform<'a> {
    /// The machine that runs this, with its files below `root`.
    pub(crate) fn new(root: impl Into<PathBuf>, memory: &'a dyn PhysicalMemory) -> Self {
        Platform {
            root: root.into(),
            memory,
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl NoTpm {
    /// Looks at the machine that runs this; `opening` is the error that opening the TPM gave.
    ///
    /// Call it only after the kernel had its time to find a TPM.
    ///
    /// # Errors
    /// The machine has a TPM or may have one, or it is not allowed to be without.
    pub fn prove(allowed: WithoutTpm, opening: &TpmError) -> Result<NoTpm, NoTpmError> {
        NoTpm::of(allowed, opening, &Platform::new("/", &DevMem))
    }

    pub(crate) fn of(
        allowed: WithoutTpm,
        opening: &TpmError,
        platform: &Platform<'_>,
    ) -> Result<NoTpm, NoTpmError> {
        // The plainest case, and the error itself says why.
        if !matches!(opening, TpmError::Absent { .. }) {
            return Err(NoTpmError::Unusable);
        }
        // First what is there, then what is allowed: a person learns of the hidden TPM either way.
        look_for_launch(platform)?;
        look_for_tpm(platform)?;
        match allowed {
            WithoutTpm::Prompt => Ok(NoTpm { _private: () }),
            WithoutTpm::Stop => Err(NoTpmError::NotAllowed),
        }
    }
}

fn look_for_launch(platform: &Platform<'_>) -> Result<(), NoTpmError> {
    let read = |offset: u64| {
        let address = TXT_PUBLIC.saturating_add(offset);
        platform
            .memory
            .read(address)
            .map_err(|error| unknown(format!("TXT's register at {address:#x}"), &error))
    };
    let status = read(TXT_STS)?;
    if read(TXT_DIDVID)? & 0xffff == INTEL && status & 0b11 != 0 {
        return Err(NoTpmError::Launched(format!("TXT.STS is {status:#x}")));
    }
    let parameters = platform.path("sys/kernel/boot_params/data");
    match fs::read(&parameters) {
        Ok(bytes) if bytes.get(TBOOT_ADDR).is_some_and(all_zero) => Ok(()),
        Ok(bytes) if bytes.len() < TBOOT_ADDR.end => Err(NoTpmError::Unknown {
            what: parameters.display().to_string(),
            reason: "too short".into(),
        }),
        Ok(_) => Err(NoTpmError::Launched(
            "tboot gave the kernel its shared page".into(),
        )),
        Err(error) => Err(unknown(parameters.display().to_string(), &error)),
    }
}

fn look_for_tpm(platform: &Platform<'_>) -> Result<(), NoTpmError> {
    if let Some(name) = names_in(&platform.path("sys/class/tpm"))?.first() {
        return Err(NoTpmError::Present(format!("the kernel has {name}")));
    }
    for register in TPM_REGISTERS {
        let address = TPM_LOCALITY_0.saturating_add(register);
        let value = platform
            .memory
            .read(address)
            .map_err(|error| unknown(format!("the TPM's register at {address:#x}"), &error))?;
        // Where no device answers a bus reads as ones; emulators give zeros.
        if value != 0 && value != u32::MAX {
            return Err(NoTpmError::Present(format!(
                "its register at {address:#x} reads {value:#010x}, although the kernel found none: \
                 was it hidden by GRUB's acpi command, or its driver switched off?"
            )));
        }
    }
    let tables = names_in(&platform.path("sys/firmware/acpi/tables"))?;
    // A second table of the same name has a number behind it.
    if let Some(name) = tables
        .iter()
        .find(|name| ACPI_TABLES.iter().any(|table| name.starts_with(table)))
    {
        return Err(NoTpmError::Present(format!("ACPI has a table {name}")));
    }
    let devices = platform.path("sys/bus/acpi/devices");
    for name in names_in(&devices)? {
        let known = ACPI_DEVICES.iter().any(|device| name.starts_with(device));
        if known && !switched_off(&devices.join(&name)) {
            return Err(NoTpmError::Present(format!("ACPI has the device {name}")));
        }
    }
    Ok(())
}

/// ACPI describes TPMs that a board may have, with `_STA` 0 where it has none.
fn switched_off(device: &Path) -> bool {
    fs::read_to_string(device.join("status")).is_ok_and(|status| status.trim() == "0")
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A directory that is not there has no names: kernels without ACPI or TPM support.
fn names_in(folder: &Path) -> Result<Vec<String>, NoTpmError> {
    let failed = |error: io::Error| unknown(folder.display().to_string(), &error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn unknown(what: String, error: &io::Error) -> NoTpmError {
    NoTpmError::Unknown {
        what,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A machine as it looks without a TPM; each test adds one trace.
    struct Board {
        folder: tempfile::TempDir,
        registers: BTreeMap<u64, Result<u32, i32>>,
        nothing: u32,
    }

    impl PhysicalMemory for Board {
        fn read(&self, address: u64) -> io::Result<u32> {
            match self.registers.get(&address) {
                Some(Ok(value)) => Ok(*value),
                Some(Err(errno)) => Err(io::Error::from_raw_os_error(*errno)),
                None => Ok(self.nothing),
            }
        }
    }

    impl Board {
        fn empty() -> Self {
            let board = Board {
                folder: tempfile::tempdir().unwrap(),
                registers: BTreeMap::new(),
                nothing: u32::MAX,
            };
            board.file("sys/kernel/boot_params/data", &[0; 4096]);
            board.file("sys/firmware/acpi/tables/FACP", b"");
            board.file("sys/bus/acpi/devices/PNP0C01:00/status", b"15\n");
            board
        }

        fn file(&self, path: &str, content: &[u8]) {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn prove(&self) -> Result<NoTpm, NoTpmError> {
            self.prove_for(WithoutTpm::Prompt)
        }

        fn prove_for(&self, allowed: WithoutTpm) -> Result<NoTpm, NoTpmError> {
            let platform = Platform::new(self.folder.path(), self);
            NoTpm::of(allowed, &absent(), &platform)
        }
    }

    fn absent() -> TpmError {
        TpmError::Absent {
            tcti: "device:/dev/tpmrm0".into(),
            reason: "No such file or directory".into(),
        }
    }

    #[test]
    fn a_machine_without_a_tpm_may_ask_where_that_is_allowed_and_only_there() {
        for nothing in [0, u32::MAX] {
            let board = Board {
                nothing,
                ..Board::empty()
            };
            board.prove().unwrap();
            assert_eq!(
                board.prove_for(WithoutTpm::Stop).unwrap_err(),
                NoTpmError::NotAllowed
            );
        }
    }

    #[test]
    fn a_tpm_that_cannot_be_reached_is_none_that_is_absent() {
        let board = Board::empty();
        let platform = Platform::new(board.folder.path(), &board);
        for reason in [
            "Input/output error",
            "Device or resource busy",
            "No such device",
        ] {
            let opening = TpmError::Unreachable {
                tcti: "device:/dev/tpmrm0".into(),
                reason: reason.into(),
            };
            let error = NoTpm::of(WithoutTpm::Prompt, &opening, &platform).unwrap_err();
            assert_eq!(error, NoTpmError::Unusable);
        }
        let tpm12 = TpmError::Tpm12 { tcti: "x".into() };
        assert!(NoTpm::of(WithoutTpm::Prompt, &tpm12, &platform).is_err());
    }

    #[test]
    fn each_trace_of_a_tpm_is_enough() {
        for (path, content) in [
            ("sys/class/tpm/tpm0/dev", ""),
            ("sys/firmware/acpi/tables/TPM2", ""),
            ("sys/firmware/acpi/tables/TCPA", ""),
            ("sys/firmware/acpi/tables/TPM21", ""),
            ("sys/bus/acpi/devices/MSFT0101:00/status", "15\n"),
            ("sys/bus/acpi/devices/MSFT0101:00/hid", "MSFT0101\n"),
            ("sys/bus/acpi/devices/PNP0C31:00/status", "1\n"),
        ] {
            let board = Board::empty();
            board.file(path, content.as_bytes());
            let error = board.prove().unwrap_err();
            assert!(matches!(error, NoTpmError::Present(_)), "{path}: {error}");
        }
        let board = Board::empty();
        board.file("sys/bus/acpi/devices/MSFT0101:00/status", b"0\n");
        board.prove().unwrap();
    }

    #[test]
    fn a_tpm_hidden_from_linux_answers_at_its_registers() {
        for (register, value) in [
            (0xfed4_0000, 0x81),        // TPM_ACCESS_0 of a FIFO
            (0xfed4_0030, 0x4011),      // TPM_INTERFACE_ID of a CRB
            (0xfed4_0f00, 0x0001_1014), // TPM_DID_VID of QEMU's TIS
            (0xfed4_0f00, 0xff00_ffff),
        ] {
            let mut board = Board::empty();
            board.registers.insert(register, Ok(value));
            let error = board.prove().unwrap_err();
            assert!(matches!(error, NoTpmError::Present(_)), "{error}");
            assert!(error.to_string().contains("acpi"), "{error}");
        }
    }

    #[test]
    fn a_launch_is_seen_in_txt_s_registers_and_by_what_tboot_leaves() {
        for status in [0x1, 0x2, 0x4003] {
            let mut board = Board::empty();
            board.registers.insert(0xfed3_0000, Ok(status));
            board.registers.insert(0xfed3_0110, Ok(0xb006_8086));
            let error = board.prove().unwrap_err();
            assert!(matches!(error, NoTpmError::Launched(_)), "{error}");
        }
        // A chipset that knows TXT, before any launch.
        let mut board = Board::empty();
        board.registers.insert(0xfed3_0000, Ok(0));
        board.registers.insert(0xfed3_0110, Ok(0xb006_8086));
        board.prove().unwrap();

        let board = Board::empty();
        let mut parameters = [0; 4096];
        parameters[0x59] = 1;
        board.file("sys/kernel/boot_params/data", &parameters);
        let error = board.prove().unwrap_err();
        assert!(matches!(error, NoTpmError::Launched(_)), "{error}");
    }

    #[test]
    fn what_cannot_be_looked_at_counts_as_a_tpm() {
        for register in [
            0xfed3_0000,
            0xfed3_0110,
            0xfed4_0000,
            0xfed4_0030,
            0xfed4_0f00,
        ] {
            let mut board = Board::empty();
            board.registers.insert(register, Err(1)); // EPERM, as under lockdown
            let error = board.prove().unwrap_err();
            assert!(matches!(error, NoTpmError::Unknown { .. }), "{error}");
        }
        let board = Board::empty();
        fs::remove_file(board.folder.path().join("sys/kernel/boot_params/data")).unwrap();
        assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
        board.file("sys/kernel/boot_params/data", &[0; 0x5f]);
        assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
        board.file("sys/kernel/boot_params/data", &[0; 4096]);
        // A file where a directory should be.
        board.file("sys/class/tpm", b"");
        assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
    }
}
