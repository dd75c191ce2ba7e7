//! The boot disk: GRUB for BIOS or EFI, its grub.cfg, tboot, kernel and initramfs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::cache::{CacheKey, cached};
use super::ext4;
use super::partition::{PARTITION_START, PartitionType, SECTOR, write_table};
use crate::boot_files::BootFiles;
use crate::tool::Tool;

/// Changes when the code below makes other disks of the same input.
const RECIPE: u32 = 3;
/// Disk id of every boot disk.
const DISK_ID: u32 = 0x7a0b_0001;
/// Where GRUB's modules are installed.
const GRUB: &str = "/usr/lib/grub";
/// What GRUB runs first: it looks for its configuration on whichever disk has it.
const EARLY_CFG: &str = "search --no-floppy --set=root --file /boot/grub.cfg\n\
    configfile ($root)/boot/grub.cfg\n";
/// Serial output for the console log, before everything in grub.cfg.
const SERIAL_CFG: &str = "serial --unit=0 --speed=115200\n\
    terminal_input serial\nterminal_output serial\n";

/// Which firmware the disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS: GRUB in the first track, ext4.
    Bios,
    /// OVMF: an EFI system partition.
    Efi,
}

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
    for file in files.tboot.iter().chain([&files.kernel, &files.initramfs]) {
        key.file(file)?;
    }
    cached("boot", &key, |image| {
        let content = tempfile::tempdir().context("cannot make a directory")?;
        fill(content.path(), files, grub_cfg)?;
        match firmware {
            Firmware::Bios => make_bios(image, content.path()),
            Firmware::Efi => make_efi(image, content.path()),
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
    copy(&files.kernel, "vmlinuz")?;
    copy(&files.initramfs, "initramfs")?;
    fs::write(boot.join("grub.cfg"), format!("{SERIAL_CFG}{grub_cfg}"))
        .context("cannot write grub.cfg")
}

/// Builds GRUB's image with the modules that its configuration uses.
fn grub_image(format: &str, filesystem: &str, core: &Path, early: &Path) -> Result<()> {
    let modules = Path::new(GRUB).join(format);
    if !modules.exists() {
        bail!(
            "{} is missing: run `cargo xtask setup`, or install grub-pc-bin and grub-efi-amd64-bin",
            modules.display()
        );
    }
    fs::write(early, EARLY_CFG).context("cannot write GRUB's early configuration")?;
    let mut names = vec![
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
    ];
    names.push(filesystem);
    if format == "i386-pc" {
        names.push("biosdisk");
    }
    Tool::new("grub-mkimage")
        .args(["-O", format, "-p", "/boot", "-o"])
        .arg(core)
        .arg("-c")
        .arg(early)
        .args(names)
        .run()?;
    Ok(())
}

fn make_bios(image: &Path, content: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let (core, early) = (scratch.path().join("core"), scratch.path().join("early"));
    grub_image("i386-pc", "ext2", &core, &early)?;
    let core = fs::read(&core).context("cannot read GRUB's image")?;
    ensure!(
        (core.len() as u64) < PARTITION_START - SECTOR,
        "GRUB's image of {} bytes does not fit before the partition",
        core.len()
    );
    let filesystem = scratch.path().join("ext4");
    let size = partition_size(content)?;
    let identity = ext4::Identity {
        uuid: "7a0b0001-0001-4001-8001-000000000001",
        label: "boot",
    };
    ext4::make(&filesystem, content, size, identity, &[])?;
    let loader = Path::new(GRUB).join("i386-pc/boot.img");
    let loader = fs::read(&loader).with_context(|| format!("cannot read {}", loader.display()))?;
    let disk = create(image, PARTITION_START + size)?;
    // 440 bytes of boot.img: what follows in the sector is the partition table.
    disk.write_all_at(loader.get(..440).context("boot.img is too short")?, 0)?;
    disk.write_all_at(&core, SECTOR)?;
    write_table(image, PartitionType::Linux, size, DISK_ID)?;
    copy_into(&disk, &filesystem)
}

fn make_efi(image: &Path, content: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let (core, early) = (scratch.path().join("core"), scratch.path().join("early"));
    grub_image("x86_64-efi", "fat", &core, &early)?;
    let size = partition_size(content)?;
    create(image, PARTITION_START + size)?;
    write_table(image, PartitionType::EfiSystem, size, DISK_ID)?;
    let drive = format!("{}@@{PARTITION_START}", image.display());
    let sectors = (size / SECTOR).to_string();
    // A FAT serial number and times are the only things that differ between two makings.
    Tool::new("mformat")
        .args(["-i", &drive, "-T", &sectors, "-N", "7a0b0001", "::"])
        .run()?;
    Tool::new("mmd")
        .args(["-i", &drive, "::/EFI", "::/EFI/BOOT", "::/boot"])
        .run()?;
    Tool::new("mcopy")
        .args(["-i", &drive])
        .arg(&core)
        .arg("::/EFI/BOOT/BOOTX64.EFI")
        .run()?;
    for file in ["grub.cfg", "tboot.gz", "vmlinuz", "initramfs"] {
        let from = content.join("boot").join(file);
        if from.exists() {
            Tool::new("mcopy")
                .args(["-i", &drive])
                .arg(from)
                .arg(format!("::/boot/{file}"))
                .run()?;
        }
    }
    Ok(())
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

fn create(image: &Path, size: u64) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(image)
        .with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(size)
        .with_context(|| format!("cannot size {}", image.display()))?;
    Ok(file)
}

/// Copies a file system into the partition; zeros stay holes.
fn copy_into(disk: &File, filesystem: &Path) -> Result<()> {
    let content = fs::read(filesystem).context("cannot read the file system")?;
    for (number, chunk) in content.chunks(1 << 16).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            disk.write_all_at(chunk, PARTITION_START + ((number as u64) << 16))
                .context("cannot write the boot partition")?;
        }
    }
    Ok(())
}
