//! The boot disk of an installed machine: one partition, which the guest mounts on /boot, with
//! GRUB installed as grub-install does it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{FIRST_ENTRY, grub_menu::MenuEntry};
use crate::assets::Kernel;
use crate::boot_files::BootFiles;
use crate::disk::boot::Firmware;
use crate::disk::ext4;
use crate::disk::partition::{PARTITION_START, PartitionType, SECTOR, write_table};
use crate::tool::Tool;

/// Two kernels and images, and their successors beside them.
const SIZE: u64 = 128 << 20;
/// As in fstab.
const DISK_ID: u32 = 0x7a0b_0001;
const UUID: &str = "7a0b0001-0001-4001-8001-000000000001";
const GRUB: &str = "/usr/lib/grub";
/// What GRUB's image does before it enters its normal mode, which reads $prefix/grub.cfg.
const EARLY_CFG: &str = "search --no-floppy --set=root --file /grub/grub.cfg\n\
     set prefix=($root)/grub\nserial --unit=0 --speed=115200\n\
     terminal_input serial\nterminal_output serial\n";

/// The boot disk.
#[derive(Debug)]
pub struct BootPartition {
    image: PathBuf,
    firmware: Firmware,
}

impl BootPartition {
    /// Makes it, with one menu entry for `files`.
    pub fn make(
        image: &Path,
        firmware: Firmware,
        files: &BootFiles,
        kernel: &Kernel,
    ) -> Result<Self> {
        let content = tempfile::tempdir().context("cannot make a directory")?;
        fill(content.path(), firmware, files, kernel)?;
        match firmware {
            Firmware::Bios => make_bios(image, content.path())?,
            Firmware::Efi => make_efi(image, content.path())?,
        }
        Ok(Self {
            image: image.to_owned(),
            firmware,
        })
    }

    /// The disk's image.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The disk's image, of this moment or of another.
    pub fn at(&self, image: &Path) -> Self {
        Self {
            image: image.to_owned(),
            firmware: self.firmware,
        }
    }

    /// What a mount would show now.
    pub fn content(&self) -> Result<Content> {
        // In memory: power cuts are looked at by the hundred.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.context("cannot make a directory")?;
        let image = folder.path().join("boot.img");
        Tool::new("cp")
            .arg("--sparse=always")
            .arg(&self.image)
            .arg(&image)
            .run()?;
        let content = Content {
            firmware: self.firmware,
            image,
            folder,
        };
        if self.firmware == Firmware::Bios {
            content.replay_journal()?;
        }
        Ok(content)
    }
}

/// A copy of the boot disk, its journal replayed.
#[derive(Debug)]
pub struct Content {
    firmware: Firmware,
    image: PathBuf,
    folder: tempfile::TempDir,
}

impl Content {
    /// A file of the partition, by its path from the partition's root, copied to `to`.
    pub fn copy_out(&self, path: &str, to: &Path) -> Result<()> {
        let path = path.trim_start_matches('/');
        match self.firmware {
            Firmware::Bios => {
                let request = format!("dump /{path} {}", to.display());
                Tool::new("debugfs")
                    .args(["-R", &request])
                    .arg(self.filesystem())
                    .run()?;
            }
            Firmware::Efi => {
                let drive = format!("{}@@{PARTITION_START}", self.image.display());
                Tool::new("mcopy")
                    .args(["-n", "-i", &drive, &format!("::/{path}")])
                    .arg(to)
                    .run()?;
            }
        }
        ensure!(to.exists(), "there is no {path} on the boot partition");
        Ok(())
    }

    /// A text file of the partition.
    pub fn read_text(&self, path: &str) -> Result<String> {
        let to = self.folder.path().join("text");
        self.copy_out(path, &to)?;
        fs::read_to_string(&to).with_context(|| format!("{path} on the boot partition"))
    }

    /// The files that an entry loads. They are gone with this value.
    pub fn files_of(&self, entry: &MenuEntry) -> Result<BootFiles> {
        let copy = |path: &str, name: &str| -> Result<PathBuf> {
            let to = self.folder.path().join(name);
            self.copy_out(path, &to)?;
            Ok(to)
        };
        let [kernel, initramfs] = entry.modules.as_slice() else {
            anyhow::bail!("{entry:?} does not load a kernel and an initramfs");
        };
        Ok(BootFiles {
            tboot: Some(copy(&entry.tboot.0, "tboot.gz")?),
            tboot_cmdline: entry.tboot.1.clone(),
            kernel: copy(&kernel.0, "vmlinuz")?,
            kernel_cmdline: kernel.1.clone(),
            initramfs: copy(&initramfs.0, "initramfs")?,
        })
    }

    /// In the words of e2fsprogs.
    fn filesystem(&self) -> String {
        format!("{}?offset={PARTITION_START}", self.image.display())
    }

    fn replay_journal(&self) -> Result<()> {
        // 1: something was corrected, which is what the journal is for.
        let checked = Tool::new("e2fsck")
            .arg("-fp")
            .arg(self.filesystem())
            .output()?;
        ensure!(
            matches!(checked.status.code(), Some(0 | 1)),
            "the boot partition is damaged: {}",
            String::from_utf8_lossy(&checked.stdout)
        );
        Ok(())
    }
}

/// The partition's content.
fn fill(folder: &Path, firmware: Firmware, files: &BootFiles, kernel: &Kernel) -> Result<()> {
    let version = &kernel.version;
    let grub = folder.join("grub");
    fs::create_dir(&grub).context("cannot make a directory")?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, folder.join(name)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(files.tboot.as_deref().context("tboot")?, "tboot.gz")?;
    copy(&files.kernel, &format!("vmlinuz-{version}"))?;
    copy(&kernel.config, &format!("config-{version}"))?;
    copy(&files.initramfs, &format!("initrd-taoboot-{version}"))?;
    let noefi = if firmware == Firmware::Efi {
        " noefi"
    } else {
        ""
    };
    let menu = format!(
        "set timeout=0\nset default=0\nmenuentry 'first boot' --id {FIRST_ENTRY} {{\ninsmod multiboot2\ninsmod gzio\n\
         multiboot2 /tboot.gz {}\nmodule2 /vmlinuz-{version} {}{noefi}\n\
         module2 /initrd-taoboot-{version}\n}}\n",
        files.tboot_cmdline, files.kernel_cmdline
    );
    fs::write(grub.join("grub.cfg"), menu).context("cannot write grub.cfg")?;
    let format = match firmware {
        Firmware::Bios => "i386-pc",
        Firmware::Efi => "x86_64-efi",
    };
    let modules = grub.join(format);
    fs::create_dir(&modules).context("cannot make a directory")?;
    for entry in fs::read_dir(Path::new(GRUB).join(format)).context("GRUB's modules")? {
        let path = entry.context("GRUB's modules")?.path();
        let name = path.file_name().context("a module has a name")?.to_owned();
        let wanted = path.extension().is_some_and(|e| e == "mod" || e == "lst");
        if wanted {
            fs::copy(&path, modules.join(name)).context("cannot copy GRUB's modules")?;
        }
    }
    Tool::new("grub-editenv")
        .arg(grub.join("grubenv"))
        .arg("create")
        .run()?;
    Ok(())
}

fn core_image(format: &str, filesystem: &str, scratch: &Path) -> Result<PathBuf> {
    let (core, early) = (scratch.join("core"), scratch.join("early"));
    fs::write(&early, EARLY_CFG).context("cannot write GRUB's early configuration")?;
    let mut modules = vec![
        "configfile",
        "normal",
        "part_msdos",
        "search",
        "search_fs_file",
        "serial",
        "test",
    ];
    modules.push(filesystem);
    if format == "i386-pc" {
        modules.push("biosdisk");
    }
    Tool::new("grub-mkimage")
        .args(["-O", format, "-p", "/grub", "-o"])
        .arg(&core)
        .arg("-c")
        .arg(&early)
        .args(modules)
        .run()?;
    Ok(core)
}

fn make_bios(image: &Path, content: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let core = core_image("i386-pc", "ext2", scratch.path())?;
    let core = fs::read(&core).context("cannot read GRUB's image")?;
    ensure!(
        (core.len() as u64) < PARTITION_START - SECTOR,
        "GRUB's image does not fit before the partition"
    );
    let filesystem = scratch.path().join("ext4");
    let identity = ext4::Identity {
        uuid: UUID,
        label: "boot",
    };
    ext4::make_with_journal(&filesystem, content, SIZE, identity)?;
    let loader = fs::read(Path::new(GRUB).join("i386-pc/boot.img")).context("boot.img")?;
    let disk = create(image)?;
    // 440 bytes of boot.img: what follows in the sector is the partition table.
    disk.write_all_at(loader.get(..440).context("boot.img is too short")?, 0)?;
    disk.write_all_at(&core, SECTOR)?;
    write_table(image, PartitionType::Linux, SIZE, DISK_ID)?;
    let content = fs::read(&filesystem).context("cannot read the file system")?;
    disk.write_all_at(&content, PARTITION_START)
        .context("cannot write the boot partition")
}

fn make_efi(image: &Path, content: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let core = core_image("x86_64-efi", "fat", scratch.path())?;
    create(image)?;
    write_table(image, PartitionType::EfiSystem, SIZE, DISK_ID)?;
    let drive = format!("{}@@{PARTITION_START}", image.display());
    let sectors = (SIZE / SECTOR).to_string();
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
    for entry in fs::read_dir(content).context("the boot files")? {
        Tool::new("mcopy")
            .args(["-s", "-i", &drive])
            .arg(entry.context("the boot files")?.path())
            .arg("::/")
            .run()?;
    }
    Ok(())
}

fn create(image: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(image)
        .with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(PARTITION_START + SIZE)
        .with_context(|| format!("cannot size {}", image.display()))?;
    Ok(file)
}
