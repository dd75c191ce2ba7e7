//! Dependencies that no file beside modules.dep names: the kernel asks for them
//! at run time with request_module, which finds no modprobe in the image.

/// What `module` asks the kernel for when it is used. The names are modules or
/// aliases; what does not exist in a kernel is built in or was renamed there.
///
/// `(module, things it asks for, why)`.
const HIDDEN: &[(&str, &[&str], &str)] = &[
    // Without AES-NI xts is a template over ecb over a cipher; measured: without
    // ecb.ko dm-crypt fails with "Error allocating crypto tfm (-ENOENT)".
    ("xts", &["ecb", "crypto-aes"], "xts(ecb(aes))"),
    (
        "adiantum",
        &[
            "crypto-xchacha12",
            "crypto-xchacha20",
            "crypto-nhpoly1305",
            "crypto-aes",
        ],
        "adiantum(xchacha12,aes,nhpoly1305)",
    ),
    (
        "essiv",
        &["cbc", "crypto-aes", "crypto-sha256"],
        "essiv(cbc(aes),sha256)",
    ),
    (
        "dm_integrity",
        &["crypto-sha256", "crypto-hmac"],
        "hmac(sha256) journals",
    ),
    ("dm_verity", &["crypto-sha256"], "its hash"),
    // The metadata checksum; older ext4 has no soft dependency for it.
    ("ext4", &["crypto-crc32c"], "metadata_csum"),
    ("jbd2", &["crypto-crc32c"], "journal checksums"),
    ("xfs", &["crypto-crc32c"], "metadata checksums"),
    ("f2fs", &["crypto-crc32", "crypto-crc32c"], "checkpoints"),
    (
        "btrfs",
        &["crypto-crc32c", "raid6_pq", "xor"],
        "checksums and parity",
    ),
    ("libcrc32c", &["crypto-crc32c"], "it wraps the crypto API"),
    (
        "crc_t10dif",
        &["crypto-crct10dif"],
        "it wraps the crypto API",
    ),
    (
        "crc64_rocksoft",
        &["crypto-crc64-rocksoft"],
        "it wraps the crypto API",
    ),
    // FAT cannot be mounted without the code page of its default options.
    (
        "vfat",
        &["nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"],
        "code pages",
    ),
    // Interfaces of a disk driver's bus that appear as modules of their own.
    ("virtio_scsi", &["sd_mod"], "disks"),
    ("usb_storage", &["sd_mod"], "disks"),
    ("uas", &["sd_mod"], "disks"),
    ("ahci", &["sd_mod"], "disks"),
    ("ata_piix", &["sd_mod"], "disks"),
    ("hv_storvsc", &["sd_mod"], "disks"),
    ("sdhci_pci", &["mmc_block"], "cards"),
    ("sdhci_acpi", &["mmc_block"], "cards"),
    ("rtsx_pci", &["rtsx_pci_sdmmc"], "cards"),
    ("usbhid", &["hid_generic"], "keyboards"),
];

/// The modules or aliases that `module` asks the kernel for at run time.
#[must_use]
pub fn hidden_dependencies(module: &str) -> &'static [&'static str] {
    HIDDEN
        .iter()
        .find(|(name, _, _)| *name == module)
        .map_or(&[], |(_, needs, _)| *needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xts_brings_ecb_and_a_cipher() {
        assert_eq!(hidden_dependencies("xts"), ["ecb", "crypto-aes"]);
        assert!(hidden_dependencies("loop").is_empty());
    }

    #[test]
    fn adiantum_brings_its_three_parts() {
        let parts = hidden_dependencies("adiantum");
        for part in ["crypto-xchacha12", "crypto-nhpoly1305", "crypto-aes"] {
            assert!(parts.contains(&part), "{part}");
        }
    }

    #[test]
    fn every_name_is_normalised_and_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _, why) in HIDDEN {
            assert!(
                !name.contains('-') && seen.insert(name) && !why.is_empty(),
                "{name}"
            );
        }
    }
}
