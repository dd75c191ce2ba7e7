//! A small initramfs around busybox, to try the harness itself without the agent.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc::{Builder, trailer};

use crate::assets::Assets;

/// Where the Debian package busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";
/// Modules for virtio disks, in the order in which they can be loaded.
pub const VIRTIO_BLOCK: &[&str] = &[
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
];
/// Modules for dm-crypt with AES-XTS, in the order in which they can be loaded. xts asks
/// for ecb by itself where the CPU has no AES instructions; modules.dep does not say so.
pub const DM_CRYPT: &[&str] = &[
    "drivers/md/dm-mod.ko",
    "drivers/md/dm-crypt.ko",
    "crypto/ecb.ko",
    "crypto/xts.ko",
    "crypto/cryptd.ko",
    "crypto/crypto_simd.ko",
    "arch/x86/crypto/aesni-intel.ko",
];

/// Begins every init script: the usual mounts, and all modules of the image loaded.
const PROLOGUE: &str = "#!/bin/busybox sh\n\
    /bin/busybox --install -s /bin\n\
    mount -t proc proc /proc\n\
    mount -t sysfs sysfs /sys\n\
    mount -t devtmpfs dev /dev\n\
    for module in $(ls /modules); do insmod /modules/$module; done\n";

/// Writes to `output` an initramfs whose /init loads `modules` and runs `script`.
pub fn initramfs(assets: &Assets, modules: &[&str], script: &str, output: &Path) -> Result<()> {
    let mut archive = Vec::new();
    for directory in ["bin", "dev", "proc", "sys", "root", "modules", "run"] {
        entry(&mut archive, directory, 0o040_755, &[])?;
    }
    let busybox = fs::read(BUSYBOX)
        .with_context(|| format!("cannot read {BUSYBOX} (Debian package busybox-static)"))?;
    entry(&mut archive, "bin/busybox", 0o100_755, &busybox)?;
    for (number, module) in modules.iter().enumerate() {
        let path = assets.kernel.modules.join("kernel").join(module);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        entry(
            &mut archive,
            &format!("modules/{number:02}.ko"),
            0o100_644,
            &content,
        )?;
    }
    let init = format!("{PROLOGUE}{script}");
    entry(&mut archive, "init", 0o100_755, init.as_bytes())?;
    trailer(&mut archive).context("cannot end the archive")?;
    fs::write(output, archive).with_context(|| format!("cannot write {}", output.display()))
}

fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    let size = u32::try_from(content.len()).context("a file is too large for an initramfs")?;
    let mut writer = Builder::new(name).mode(mode).nlink(1).write(archive, size);
    writer
        .write_all(content)
        .and_then(|()| writer.finish().map(|_| ()))
        .with_context(|| format!("cannot add {name} to the initramfs"))
}
