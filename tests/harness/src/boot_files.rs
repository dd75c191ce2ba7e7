//! The files and command lines of one measured boot: what GRUB loads and tboot measures.
//!
//! The boot disk is made from them, and the launch is computed from the same bytes.

use std::path::PathBuf;

use crate::assets::Assets;

/// What one GRUB entry loads.
#[derive(Clone, Debug)]
pub struct BootFiles {
    /// tboot.gz; `None` boots the kernel without tboot.
    pub tboot: Option<PathBuf>,
    /// tboot's command line.
    pub tboot_cmdline: String,
    /// The bzImage: tboot's module 0.
    pub kernel: PathBuf,
    /// The kernel's command line.
    pub kernel_cmdline: String,
    /// The initramfs: tboot's module 1.
    pub initramfs: PathBuf,
    /// An ACPI table, as /boot/table.aml, for a GRUB line that loads it.
    pub acpi_table: Option<PathBuf>,
}

impl BootFiles {
    /// The kernel and the tboot of `assets` with the given initramfs and kernel command line.
    pub fn new(
        assets: &Assets,
        initramfs: impl Into<PathBuf>,
        kernel_cmdline: impl Into<String>,
    ) -> Self {
        Self {
            tboot: Some(assets.tboot.clone()),
            tboot_cmdline: "logging=serial,memory,vga".to_owned(),
            kernel: assets.kernel.vmlinuz.clone(),
            kernel_cmdline: kernel_cmdline.into(),
            initramfs: initramfs.into(),
            acpi_table: None,
        }
    }

    /// The grub.cfg that boots these files at once. `efi` adds tboot's word for EFI hosts.
    pub fn grub_cfg(&self, efi: bool) -> String {
        let mut text = String::from(
            "set timeout=0\nset default=0\nmenuentry 'measured boot' {\n    insmod multiboot2\n",
        );
        match &self.tboot {
            Some(_) => {
                let noefi = if efi { " noefi" } else { "" };
                text += &format!("    multiboot2 /boot/tboot.gz {}\n", self.tboot_cmdline);
                text += &format!("    module2 /boot/vmlinuz {}{noefi}\n", self.kernel_cmdline);
                text += "    module2 /boot/initramfs\n";
            }
            None => {
                text += &format!("    linux /boot/vmlinuz {}\n", self.kernel_cmdline);
                text += "    initrd /boot/initramfs\n";
            }
        }
        text + "}\n"
    }

    /// The kernel command line as the kernel and tboot get it from [`Self::grub_cfg`].
    pub fn measured_cmdline(&self, efi: bool) -> String {
        let noefi = if efi && self.tboot.is_some() {
            " noefi"
        } else {
            ""
        };
        format!("{}{noefi}", self.kernel_cmdline)
    }
}
