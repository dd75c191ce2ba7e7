//! The boot disk of an installed machine: one partition, which the guest mounts on /boot, with
//! GRUB installed as grub-install does it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::grub_menu::MenuEntry;
use crate::assets::Kernel;
use crate::boot_files::BootFiles;
use crate::disk::ext4;
use crate::disk::grub::{BOOT_UUID, Core, Firmware, GRUB, bios_disk, efi_disk};
use crate::disk::partition::PARTITION_START;
use crate::tool::Tool;

/// Id of the menu entry of the first boot, which the harness wrote.
pub const FIRST_ENTRY: &str = "first";
/// Two kernels and images, and their successors beside them.
const SIZE: u64 = 128 << 20;
/// What GRUB's image does before it enters its normal mode, which reads $prefix/grub.cfg.
const EARLY_CFG: &str = "search --no-floppy --set=root --file /grub/grub.cfg\n\
     set prefix=($root)/grub\nserial --unit=0 --speed=115200\n\
     terminal_input serial\nterminal_output serial\n";

const CORE: Core<'static> = Core {
    prefix: "/grub",
    early: EARLY_CFG,
    modules: &[
        "configfile",
        "normal",
        "part_msdos",
        "search",
        "search_fs_file",
        "serial",
        "test",
    ],
};

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
            Firmware::Bios => {
                let filesystem = image.with_extension("ext4");
                let identity = ext4::Identity {
                    uuid: BOOT_UUID,
                    label: "boot",
                };
                ext4::make_with_journal(&filesystem, content.path(), SIZE, identity)?;
                bios_disk(image, CORE, &filesystem, SIZE)?;
                fs::remove_file(&filesystem).context("cannot remove a file system")?;
            }
            Firmware::Efi => efi_disk(image, CORE, content.path(), SIZE)?,
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
        let directory = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let directory = directory.context("cannot make a directory")?;
        // The partition alone: e2fsck forgets an offset as soon as it has replayed a journal.
        let partition = directory.path().join("partition");
        Tool::new("dd")
            .arg(format!("if={}", self.image.display()))
            .arg(format!("of={}", partition.display()))
            .arg(format!("bs={PARTITION_START}"))
            .args(["skip=1", "conv=sparse", "status=none"])
            .run()?;
        let content = Content {
            firmware: self.firmware,
            partition,
            directory,
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
    partition: PathBuf,
    directory: tempfile::TempDir,
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
                    .arg(&self.partition)
                    .run()?;
            }
            Firmware::Efi => {
                Tool::new("mcopy")
                    .args(["-n", "-i"])
                    .arg(&self.partition)
                    .arg(format!("::/{path}"))
                    .arg(to)
                    .run()?;
            }
        }
        ensure!(to.exists(), "there is no {path} on the boot partition");
        Ok(())
    }

    /// A text file of the partition.
    pub fn read_text(&self, path: &str) -> Result<String> {
        let to = self.directory.path().join("text");
        self.copy_out(path, &to)?;
        fs::read_to_string(&to).with_context(|| format!("{path} on the boot partition"))
    }

    /// The files that an entry loads. They are gone with this value.
    pub fn files_of(&self, entry: &MenuEntry) -> Result<BootFiles> {
        let copy = |path: &str, name: &str| -> Result<PathBuf> {
            let to = self.directory.path().join(name);
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
            acpi_table: None,
        })
    }

    fn replay_journal(&self) -> Result<()> {
        // 1: something was corrected, which is what the journal is for.
        let checked = Tool::new("e2fsck")
            .arg("-fp")
            .arg(&self.partition)
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
fn fill(directory: &Path, firmware: Firmware, files: &BootFiles, kernel: &Kernel) -> Result<()> {
    let version = &kernel.version;
    let grub = directory.join("grub");
    fs::create_dir(&grub).context("cannot make a directory")?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, directory.join(name))
            .with_context(|| format!("cannot copy {}", from.display()))
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
    let format = firmware.format();
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
