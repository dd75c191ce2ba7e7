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
        "the TPM is present but cannot be used: nothing is opened or asked for, because its \
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
    pub fn prove(allowed: WithoutTpm, opening: &TpmError) -> Result<Self, NoTpmError> {
        Self::of(allowed, opening, &Platform::new("/", &DevMem))
    }

    pub(crate) fn of(
        allowed: WithoutTpm,
        opening: &TpmError,
        platform: &Platform<'_>,
    ) -> Result<Self, NoTpmError> {
        // The plainest case, and the error itself says why.
        if !matches!(opening, TpmError::Absent { .. }) {
            return Err(NoTpmError::Unusable);
        }
        // First what is there, then what is allowed: a person learns of the hidden TPM either way.
        look_for_launch(platform)?;
        look_for_tpm(platform)?;
        match allowed {
            WithoutTpm::Prompt => Ok(Self { _private: () }),
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
fn names_in(directory: &Path) -> Result<Vec<String>, NoTpmError> {
    let failed = |error: io::Error| unknown(directory.display().to_string(), &error);
    let entries = match fs::read_dir(directory) {
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
#[path = "no_tpm_tests.rs"]
mod tests;
