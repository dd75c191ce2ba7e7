//! The boot disk: GRUB for BIOS or EFI, its grub.cfg, tboot, kernel and initramfs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cache::{CacheKey, cached};
use super::ext4;
use super::grub::{BOOT_UUID, Core, bios_disk, efi_disk};
use crate::boot_files::BootFiles;

pub use super::grub::Firmware;

/// Changes when the code below makes other disks of the same input.
const RECIPE: u32 = 5;
/// What GRUB runs first: it looks for its configuration on whichever disk has it.
const EARLY_CFG: &str = "search --no-floppy --set=root --file /boot/grub.cfg\n\
    configfile ($root)/boot/grub.cfg\n";
/// Serial output for the console log, before everything in grub.cfg.
const SERIAL_CFG: &str = "serial --unit=0 --speed=115200\n\
    terminal_input serial\nterminal_output serial\n";

/// What GRUB's image holds, besides the modules of disk and file system.
const CORE: Core<'static> = Core {
    prefix: "/boot",
    early: EARLY_CFG,
    modules: &[
        // For whoever hides the TPM from Linux.
        "acpi",
        "configfile",
        "echo",
        "gzio",
        "linux",
        "multiboot2",
        "normal",
        "part_msdos",
        "search",
        "search_fs_file",
        "search_fs_uuid",
        "search_label",
        "serial",
        "test",
        "reboot",
        "halt",
    ],
};

/// A boot disk for `files`, from the cache or new, with the grub.cfg that `files` describe.
pub fn boot_disk(files: &BootFiles, firmware: Firmware) -> Result<PathBuf> {
    let grub_cfg = files.grub_cfg(firmware == Firmware::Efi);
    boot_disk_with(files, firmware, &grub_cfg)
}

/// The same with another grub.cfg, for instance one that a script of grub.d printed.
pub fn boot_disk_with(files: &BootFiles, firmware: Firmware, grub_cfg: &str) -> Result<PathBuf> {
    let mut key = CacheKey::new("boot", RECIPE);
    key.bytes(format!("{firmware:?}").as_bytes());
    key.bytes(grub_cfg.as_bytes());
    let always = [&files.kernel, &files.initramfs];
    for file in files.tboot.iter().chain(always).chain(&files.acpi_table) {
        key.file(file)?;
    }
    cached("boot", &key, |image| {
        let content = tempfile::tempdir().context("cannot make a directory")?;
        fill(content.path(), files, grub_cfg)?;
        match firmware {
            Firmware::Bios => bios(image, content.path()),
            Firmware::Efi => {
                let size = partition_size(content.path())?;
                efi_disk(image, CORE, content.path(), size)
            }
        }
    })
}

/// Lays out the boot partition in `directory`.
fn fill(directory: &Path, files: &BootFiles, grub_cfg: &str) -> Result<()> {
    let boot = directory.join("boot");
    fs::create_dir(&boot).context("cannot make the boot directory")?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, boot.join(name))
            .with_context(|| format!("cannot copy {} to the boot disk", from.display()))
    };
    if let Some(tboot) = &files.tboot {
        copy(tboot, "tboot.gz")?;
    }
    if let Some(table) = &files.acpi_table {
        copy(table, "table.aml")?;
    }
    copy(&files.kernel, "vmlinuz")?;
    copy(&files.initramfs, "initramfs")?;
    fs::write(boot.join("grub.cfg"), format!("{SERIAL_CFG}{grub_cfg}"))
        .context("cannot write grub.cfg")
}

fn bios(image: &Path, content: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let filesystem = scratch.path().join("ext4");
    let size = partition_size(content)?;
    let identity = ext4::Identity {
        uuid: BOOT_UUID,
        label: "boot",
    };
    ext4::make(&filesystem, content, size, identity, &[])?;
    bios_disk(image, CORE, &filesystem, size)
}

/// Room for the files of `content` and a quarter more, in whole MiB.
fn partition_size(content: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(content.join("boot")).context("cannot list the boot files")? {
        bytes += entry?.metadata()?.len();
    }
    let mebibytes = (bytes + bytes / 4).div_ceil(1 << 20) + 16;
    Ok(mebibytes << 20)
}
