//! The image of a machine, made as its installer makes it: in a chroot of the new root, from the devices that are
//! there, `taoboot-image --host-only`. Kernel and programs are read from the host's directories.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::assets::{Assets, Kernel};
use crate::disk::cache::CacheKey;
use crate::programs;
use crate::tool::Tool;

/// Name of the image.
pub const NAME: &str = "initrd-taoboot";
/// The disk on which the session hands it over, as an archive.
pub const ARCHIVE: &str = "image.tar";
/// Its serial number.
pub const SERIAL: &str = "image";
/// Its size in bytes.
pub const ARCHIVE_SIZE: u64 = 32 << 20;

/// `make_image`: in the root that is mounted on /mnt.
pub const SCRIPT: &str = r#"make_image() {
    mkdir -p /run/kernel /run/programs /mnt/etc/taoboot /mnt/usr/lib/modules
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro kernel /run/kernel
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro programs /run/programs
    echo 'on_failure = "reboot"' > /mnt/etc/taoboot/image.toml
    for place in proc sys dev run; do mount --rbind "/$place" "/mnt/$place"; done
    mount --bind /run/kernel/lib/modules /mnt/usr/lib/modules
    mount --bind /run/kernel/boot /mnt/boot
    chroot /mnt /run/programs/taoboot-image explain
    chroot /mnt /run/programs/taoboot-image --host-only --kernel "$(uname -r)" --agent /run/programs/init \
        --output /run/initrd-taoboot --verbose
    for place in boot usr/lib/modules proc sys dev run; do umount -R "/mnt/$place"; done
    tar -cf /dev/disk/by-id/virtio-image -C /run initrd-taoboot
}
"#;

/// What the session reads.
pub fn shares(kernel: &Kernel) -> Result<Vec<(PathBuf, &'static str)>> {
    // PACKAGE/lib/modules/VERSION
    let package = kernel.modules.ancestors().nth(3);
    let package = package.context("the kernel's modules are in no package")?;
    let init = programs::path("init")?;
    let programs = init.parent().context("a program is in a directory")?;
    Ok(vec![
        (package.to_owned(), "kernel"),
        (programs.to_owned(), "programs"),
    ])
}

/// What the image is made of.
pub fn describe(key: &mut CacheKey) -> Result<()> {
    for program in ["init", "taoboot-image"] {
        key.file(&programs::path(program)?)?;
    }
    key.bytes(Assets::load()?.kernel_general.version.as_bytes());
    Ok(())
}

/// Takes the image off the disk that the session wrote.
pub fn unpack(directory: &Path) -> Result<()> {
    Tool::new("tar")
        .arg("-xf")
        .arg(directory.join(ARCHIVE))
        .arg("-C")
        .arg(directory)
        .arg(NAME)
        .run()?;
    Ok(())
}
