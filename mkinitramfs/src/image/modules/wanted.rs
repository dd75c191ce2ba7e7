//! Which modules an image gets without being asked: what every image needs, and
//! the drivers a root disk, a TPM or the keyboard of a passphrase prompt may need.

/// A module that every image holds, and whether a kernel without it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// Module name or alias.
    pub name: &'static str,
    /// Without it (neither module nor built in) no encrypted root can be opened.
    pub required: bool,
}

/// Loaded at start on every machine, in this order: device mapper, the cipher of
/// LUKS2's default `aes-xts-plain64`, and the TPM.
pub const BASE: &[Base] = &[
    Base {
        name: "dm_mod",
        required: true,
    },
    Base {
        name: "crypto-aes",
        required: true,
    },
    Base {
        name: "ecb",
        required: false,
    },
    Base {
        name: "xts",
        required: true,
    },
    Base {
        name: "crypto-sha256-generic",
        required: false,
    },
    Base {
        name: "dm_crypt",
        required: true,
    },
    Base {
        name: "tpm_tis",
        required: false,
    },
    Base {
        name: "tpm_crb",
        required: false,
    },
];

/// CPU-specific code worth having at start, and the things that it speeds up: a
/// file system or volume keeps the code it was opened with for its whole life.
pub const ACCELERATORS: &[(&str, &[&str])] = &[
    ("aesni_intel", &["xts", "dm_crypt"]),
    ("crc32c_intel", &["ext4", "xfs", "btrfs", "f2fs"]),
];

/// File systems that can be a root; `--module` with one of them replaces ext4.
pub const ROOT_FILE_SYSTEMS: &[&str] = &[
    "ext4", "xfs", "btrfs", "f2fs", "ext2", "jfs", "nilfs2", "reiserfs", "bcachefs", "squashfs",
    "erofs",
];

/// The root file system when nobody names one.
pub const DEFAULT_ROOT_FILE_SYSTEM: &str = "ext4";

/// What a disk may hang on. An image without one of them tells /init what it drives, for the sentence that says
/// why a disk did not appear.
pub const DISK_DRIVERS: &[&str] = &[
    // Virtual machines
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "xen_blkfront",
    "hv_vmbus",
    "hv_storvsc",
    "vmw_pvscsi",
    // Disks and the buses they hang on
    "nvme",
    "vmd",
    "sd_mod",
    "sr_mod",
    "ahci",
    "ata_piix",
    "ata_generic",
    "pata_acpi",
    "megaraid_sas",
    "mpt3sas",
    "mpi3mr",
    "hpsa",
    "smartpqi",
    "aacraid",
    "isci",
    "usb_storage",
    "uas",
    "xhci_pci",
    "ehci_pci",
    "ohci_pci",
    "uhci_hcd",
    "mmc_block",
    "sdhci_pci",
    "sdhci_acpi",
    "rtsx_pci",
    "rtsx_pci_sdmmc",
    "ufshcd_pci",
];

/// `--generic` takes these by name as well, when the kernel has them.
const OTHER_DRIVERS: &[&str] = &[
    // Keyboards, for the passphrase prompt
    "hyperv_keyboard",
    "hid_hyperv",
    "i8042",
    "atkbd",
    "usbhid",
    "hid_generic",
    "hid_apple",
    "hid_logitech_dj",
    "hid_microsoft",
    "i2c_hid_acpi",
    "intel_lpss_pci",
    "intel_lpss_acpi",
    "i2c_designware_platform",
    // TPMs and their buses
    "tpm_tis",
    "tpm_crb",
    "tpm_tis_spi",
    "tpm_tis_i2c",
    "spi_intel_pci",
    // Root file systems and the EFI system partition
    "ext4",
    "xfs",
    "btrfs",
    "f2fs",
    "vfat",
];

/// Every module that `--generic` and `--host-only` choose from.
pub fn generic() -> impl Iterator<Item = &'static str> {
    DISK_DRIVERS.iter().chain(OTHER_DRIVERS).copied()
}

/// Whether `name` is a file system of the lists above.
#[must_use]
pub fn is_file_system(name: &str) -> bool {
    name == "vfat" || ROOT_FILE_SYSTEMS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for name in generic() {
            assert!(!name.contains('-') && seen.insert(name), "{name}");
        }
    }
}
