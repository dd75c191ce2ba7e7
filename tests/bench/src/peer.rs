//! The peers of the boot: a shell script that does the same work with the usual tools, and
//! the floor, which mounts an unencrypted root and does nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use ::harness::assets::Assets;
use ::harness::busybox::{DM_CRYPT, VIRTIO_BLOCK};
use ::harness::programs;
use anyhow::{Context, Result};

use crate::files::libraries;
use crate::initramfs::Initramfs;
use crate::peer_secret::{KEYSLOT, PCRS, PeerSecret};

/// The programs of the script's image, where Debian has them.
const TPM2: &str = "/usr/bin/tpm2";
const CRYPTSETUP: &str = "/usr/sbin/cryptsetup";
/// Loaded by name at run time, so that ldd does not know it.
const TCTI_DEVICE: &str = "/usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0";
const BUSYBOX: &str = "/bin/busybox";

/// The work of the agent, step by step, with one process for each step. It is spared what
/// the agent does besides: finding disks by UUID, checking the header, the Tao host.
fn script() -> String {
    format!(
        "#!/bin/sh\n\
        export PATH=/bin DM_DISABLE_UDEV=1 TPM2TOOLS_TCTI=device:/dev/tpmrm0\n\
        fail() {{ echo \"<3>bench peer: $1 failed\" > /dev/kmsg; cat /run/messages > /dev/console; poweroff -f; }}\n\
        mount -t proc proc /proc\n\
        mount -t sysfs sysfs /sys\n\
        mount -t devtmpfs dev /dev\n\
        mount -t tmpfs run /run\n\
        exec 2> /run/messages\n\
        for module in /modules/*; do insmod $module || fail $module; done\n\
        while [ ! -b /dev/vda ] || [ ! -b /dev/vdb1 ] || [ ! -c /dev/tpmrm0 ]; do usleep 5000; done\n\
        cd /run\n\
        tpm2 createprimary -Q -C o -G ecc -c primary || fail createprimary\n\
        tpm2 startauthsession -Q --policy-session --tpmkey-context primary -S session || fail startauthsession\n\
        tpm2 sessionconfig -Q --enable-encrypt session || fail sessionconfig\n\
        tpm2 policypcr -Q -S session -l {PCRS} || fail policypcr\n\
        tpm2 load -Q -C primary -u /sealed.pub -r /sealed.priv -c sealed || fail load\n\
        tpm2 unseal -Q -c sealed -p session:session -o secret || fail unseal\n\
        tpm2 pcrextend 15:sha256=0000000000000000000000000000000000000000000000000000000000000001 || fail pcrextend\n\
        cryptsetup open --type luks2 --key-slot {KEYSLOT} --key-file secret /dev/vda root || fail open\n\
        rm secret\n\
        cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file /dev/urandom /dev/vdb1 swap || fail swap\n\
        mkswap /dev/mapper/swap > /dev/null || fail mkswap\n\
        swapon /dev/mapper/swap || fail swapon\n\
        mount -t ext4 -o ro /dev/mapper/root /root || fail mount\n\
        for directory in dev proc sys run; do mount --move /$directory /root/$directory || fail move; done\n\
        exec switch_root /root /sbin/init\n"
    )
}

/// Writes the script's initramfs.
pub fn script_image(assets: &Assets, secret: &PeerSecret, output: &Path) -> Result<()> {
    let mut image =
        Initramfs::with_directories(&["bin", "dev", "proc", "sys", "run", "root", "modules"])?;
    let dynamic = [
        Path::new(TPM2),
        Path::new(CRYPTSETUP),
        Path::new(TCTI_DEVICE),
    ];
    for library in libraries(&dynamic)? {
        let path = library
            .to_str()
            .context("a library's path is not UTF-8")?
            .to_owned();
        image.host_file(&library, &path)?;
    }
    image.host_file(Path::new(TCTI_DEVICE), TCTI_DEVICE)?;
    image.host_file(Path::new(TPM2), "bin/tpm2")?;
    image.host_file(Path::new(CRYPTSETUP), "bin/cryptsetup")?;
    image.host_file(Path::new(BUSYBOX), "bin/busybox")?;
    for applet in [
        "cat",
        "insmod",
        "mkswap",
        "mount",
        "poweroff",
        "rm",
        "sh",
        "swapon",
        "switch_root",
        "usleep",
    ] {
        image.link(&format!("bin/{applet}"), "busybox")?;
    }
    image.host_file(&secret.public, "sealed.pub")?;
    image.host_file(&secret.private, "sealed.priv")?;
    modules(&mut image, assets, &[VIRTIO_BLOCK, DM_CRYPT])?;
    image.file("init", 0o755, script().as_bytes())?;
    image.write(output)
}

/// Writes the floor's initramfs: one static program and the drivers of the disk.
pub fn floor_image(assets: &Assets, output: &Path) -> Result<()> {
    let mut image = Initramfs::with_directories(&["dev", "proc", "sys", "run", "root", "modules"])?;
    modules(&mut image, assets, &[VIRTIO_BLOCK])?;
    image.host_file(&programs::path("floor_init")?, "init")?;
    image.write(output)
}

/// Modules under names that sort in the order of their loading.
fn modules(image: &mut Initramfs, assets: &Assets, lists: &[&[&str]]) -> Result<()> {
    for (number, module) in lists.iter().copied().flatten().enumerate() {
        let path: PathBuf = assets.kernel.modules.join("kernel").join(module);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        image.file(&format!("modules/{number:02}.ko"), 0o644, &content)?;
    }
    Ok(())
}
