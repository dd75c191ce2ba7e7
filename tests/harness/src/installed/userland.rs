//! What the Debian guest has beyond a plain one: taoboot as its package installs it, settings
//! as an administrator writes them, the modules of its kernel, and the new kernel's package.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tboot_policy::platform::PlatformRecord;

use super::kernel_package::modules;
use crate::assets::Kernel;
use crate::debian::overlay::Overlay;
use crate::programs;
use crate::tool::Tool;
use crate::workplace::workspace_root;
use crate::world::{BASE_CMDLINE, policy};

/// Where the guest has the kernel package that a test installs.
pub const NEW_KERNEL: &str = "/root/new-kernel.deb";
/// The boot partition, by the disk's id.
pub(super) const BOOT_PARTUUID: &str = "7a0b0001-01";

const GRUB_DEFAULTS: &str = "GRUB_DEFAULT=\"0>0\"\nGRUB_TIMEOUT=0\nGRUB_TIMEOUT_STYLE=hidden\n\
     GRUB_DISTRIBUTOR=Debian\nGRUB_TERMINAL=serial\n\
     GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\nGRUB_DISABLE_OS_PROBER=true\n";
/// Only the drivers of the harness' machines, so that images are small.
const TAOBOOT_DEFAULTS: &str = "TAOBOOT_IMAGE_OPTIONS='--module virtio_pci --module virtio_blk'\n";

/// All of it.
pub(super) fn overlay(old: &Kernel, package: &Path) -> Result<Overlay> {
    let mut overlay = Overlay::default();
    overlay.file("/etc/fstab", 0o644, fstab());
    overlay.file("/etc/default/grub", 0o644, grub_defaults());
    overlay.file("/etc/default/taoboot", 0o644, TAOBOOT_DEFAULTS);
    overlay.file(
        "/etc/default/grub-taoboot",
        0o644,
        "GRUB_TAOBOOT_ROOT=/dev/mapper/root\nGRUB_TAOBOOT_CMDLINE_TBOOT='logging=serial,memory,vga'\n\
         GRUB_TAOBOOT_CMDLINE_LINUX=''\n",
    );
    overlay.file(
        "/etc/taoboot/image.toml",
        0o644,
        "on_failure = \"reboot\"\n",
    );
    overlay.file("/etc/taoboot/vlp.pol", 0o644, policy()?.to_bytes());
    let platform = serde_json::to_vec(&PlatformRecord::simulated())?;
    overlay.file("/var/lib/taoboot/platform.json", 0o644, platform);
    // Entries without tboot are another script's; the first entry is to be ours.
    overlay.file("/etc/grub.d/10_linux", 0o644, "# not used here\n");
    for program in ["tboot-policy", "taoboot-image"] {
        add(
            &mut overlay,
            &programs::path(program)?,
            &format!("/usr/sbin/{program}"),
            0o755,
        )?;
    }
    add(
        &mut overlay,
        &programs::path("init")?,
        "/usr/lib/taoboot/init",
        0o755,
    )?;
    let scripts = workspace_root().join("grub.d");
    for (from, to) in [
        ("20_linux_taoboot", "/etc/grub.d/20_linux_taoboot"),
        ("hooks/kernel", "/usr/lib/taoboot/kernel"),
        (
            "hooks/zy-taoboot.postinst",
            "/etc/kernel/postinst.d/zy-taoboot",
        ),
        ("hooks/zy-taoboot.postrm", "/etc/kernel/postrm.d/zy-taoboot"),
    ] {
        add(&mut overlay, &scripts.join(from), to, 0o755)?;
    }
    add_modules(&mut overlay, old)?;
    add(&mut overlay, package, NEW_KERNEL, 0o644)?;
    Ok(overlay)
}

fn fstab() -> String {
    format!(
        "/dev/mapper/root / ext4 defaults 0 0\n/dev/mapper/swap none swap defaults 0 0\n\
         PARTUUID={BOOT_PARTUUID} /boot auto defaults 0 0\n"
    )
}

/// The words that every machine of the harness needs; root= is 20_linux_taoboot's.
fn grub_defaults() -> String {
    let words: Vec<&str> = BASE_CMDLINE
        .split_whitespace()
        .filter(|word| !word.starts_with("root=") && *word != "ro")
        .collect();
    format!(
        "{GRUB_DEFAULTS}GRUB_CMDLINE_LINUX=\"{}\"\n",
        words.join(" ")
    )
}

fn add(overlay: &mut Overlay, from: &Path, to: &str, mode: u32) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    overlay.file(to, mode, content);
    Ok(())
}

/// The modules of the kernel that runs first, which its package would have installed.
fn add_modules(overlay: &mut Overlay, kernel: &Kernel) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let below = Path::new("lib/modules").join(&kernel.version);
    modules(&kernel.modules, &scratch.path().join(&below))?;
    Tool::new("depmod")
        .arg("-b")
        .arg(scratch.path())
        .arg(&kernel.version)
        .run()?;
    let to = format!("/usr/{}", below.display());
    add_directory(overlay, &scratch.path().join(&below), &to)
}

fn add_directory(overlay: &mut Overlay, from: &Path, to: &str) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry.context("cannot list the modules")?;
        let name = entry.file_name();
        let to = format!("{to}/{}", name.to_string_lossy());
        if entry.file_type().context("a module's kind")?.is_dir() {
            add_directory(overlay, &entry.path(), &to)?;
        } else {
            add(overlay, &entry.path(), &to, 0o644)?;
        }
    }
    Ok(())
}
