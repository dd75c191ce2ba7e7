//! GRUB on a disk with one partition, for BIOS or EFI: what grub-install would write.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::partition::{PARTITION_START, PartitionType, SECTOR, write_table};
use crate::tool::Tool;

/// Where GRUB's modules are installed.
pub const GRUB: &str = "/usr/lib/grub";
/// Disk id of every boot disk.
const DISK_ID: u32 = 0x7a0b_0001;
/// UUID of the boot partition's ext4.
pub const BOOT_UUID: &str = "7a0b0001-0001-4001-8001-000000000001";

/// Which firmware the disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS: GRUB in the first track, ext4.
    Bios,
    /// OVMF: an EFI system partition.
    Efi,
}

impl Firmware {
    /// GRUB's name of the platform, which is its directory of modules as well.
    pub const fn format(self) -> &'static str {
        match self {
            Self::Bios => "i386-pc",
            Self::Efi => "x86_64-efi",
        }
    }
}

/// GRUB's image: the modules that it holds and what it runs first.
#[derive(Clone, Copy, Debug)]
pub struct Core<'a> {
    /// The directory of GRUB's own files, as GRUB sees it.
    pub prefix: &'a str,
    /// The embedded configuration.
    pub early: &'a str,
    /// Modules besides the file system's and the disk's.
    pub modules: &'a [&'a str],
}

impl Core<'_> {
    fn build(&self, firmware: Firmware, scratch: &Path) -> Result<PathBuf> {
        let format = firmware.format();
        let modules = Path::new(GRUB).join(format);
        if !modules.exists() {
            bail!(
                "{} is missing: run `cargo xtask setup`, or install grub-pc-bin and grub-efi-amd64-bin",
                modules.display()
            );
        }
        let (core, early) = (scratch.join("core"), scratch.join("early"));
        fs::write(&early, self.early).context("cannot write GRUB's early configuration")?;
        let own: &[&str] = match firmware {
            Firmware::Bios => &["ext2", "biosdisk"],
            Firmware::Efi => &["fat"],
        };
        Tool::new("grub-mkimage")
            .args(["-O", format, "-p", self.prefix, "-o"])
            .arg(&core)
            .arg("-c")
            .arg(&early)
            .args(self.modules.iter().chain(own))
            .run()?;
        Ok(core)
    }
}

/// A BIOS disk around an ext4 file system of `size` bytes.
pub fn bios_disk(image: &Path, core: Core<'_>, filesystem: &Path, size: u64) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let core = core.build(Firmware::Bios, scratch.path())?;
    let core = fs::read(&core).context("cannot read GRUB's image")?;
    ensure!(
        (core.len() as u64) < PARTITION_START - SECTOR,
        "GRUB's image of {} bytes does not fit before the partition",
        core.len()
    );
    let loader = Path::new(GRUB).join("i386-pc/boot.img");
    let loader = fs::read(&loader).with_context(|| format!("cannot read {}", loader.display()))?;
    let disk = create(image, PARTITION_START + size)?;
    // 440 bytes of boot.img: what follows in the sector is the partition table.
    disk.write_all_at(loader.get(..440).context("boot.img is too short")?, 0)?;
    disk.write_all_at(&core, SECTOR)?;
    write_table(image, PartitionType::Linux, size, DISK_ID)?;
    copy_into(&disk, filesystem)
}

/// An EFI disk whose partition of `size` bytes holds everything in `content`.
pub fn efi_disk(image: &Path, core: Core<'_>, content: &Path, size: u64) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let core = core.build(Firmware::Efi, scratch.path())?;
    create(image, PARTITION_START + size)?;
    write_table(image, PartitionType::EfiSystem, size, DISK_ID)?;
    let drive = format!("{}@@{PARTITION_START}", image.display());
    let sectors = (size / SECTOR).to_string();
    // A FAT serial number and times are the only things that differ between two makings.
    Tool::new("mformat")
        .args(["-i", &drive, "-T", &sectors, "-N", "7a0b0001", "::"])
        .run()?;
    Tool::new("mmd")
        .args(["-i", &drive, "::/EFI", "::/EFI/BOOT"])
        .run()?;
    Tool::new("mcopy")
        .args(["-i", &drive])
        .arg(&core)
        .arg("::/EFI/BOOT/BOOTX64.EFI")
        .run()?;
    for entry in fs::read_dir(content).context("cannot list the boot files")? {
        Tool::new("mcopy")
            .args(["-s", "-i", &drive])
            .arg(entry.context("cannot list the boot files")?.path())
            .arg("::/")
            .run()?;
    }
    Ok(())
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
