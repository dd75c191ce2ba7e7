//! What a world is made of: policy, boot files, image, volume, programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use mkinitramfs::image::{self, ImageCommand, Summary};
use serde_json::Value;
use tboot_policy::vlp::{Entry, ModuleNumber, Object, Policy, PolicyType};
use tpm::PcrIndex;
use txt::hash::HashAlg;

use super::plan::{BASE_CMDLINE, PASSPHRASE, Plan, Userland, VOLUME_KEY, VOLUME_UUID};
use crate::assets::Assets;
use crate::boot_files::BootFiles;
use crate::debian::{debian_root, overlay::Overlay};
use crate::disk::cache::{CacheKey, cached};
use crate::disk::luks::{self, LuksVolume};
use crate::disk::small_root::small_root;
use crate::guest::guest_probe;
use crate::programs;

/// tboot's policy in the tests and the demo: the kernel into PCR 18, the initramfs into 19.
pub fn policy() -> Result<Policy> {
    let entry = |number, pcr| -> Result<Entry> {
        let module = ModuleNumber::new(number).context("module number")?;
        Ok(Entry::measure(
            Object::Module(module),
            Some(PcrIndex::try_from(pcr)?),
        ))
    };
    let entries = vec![entry(0, 18)?, entry(1, 19)?];
    Ok(Policy::new(
        PolicyType::NonFatal,
        HashAlg::Sha256,
        Policy::EXTEND_PCR17,
        entries,
    )?)
}

pub(super) fn boot_files(assets: &Assets, image: &Path, plan: &Plan) -> BootFiles {
    let cmdline = format!("{BASE_CMDLINE}{}", plan.cmdline);
    BootFiles::new(assets, image, cmdline.trim_end())
}

pub(super) fn build_image(
    assets: &Assets,
    config: &str,
    modules: &[&str],
    directory: &Path,
    output: &Path,
) -> Result<Summary> {
    let file = directory.join("taoboot.toml");
    fs::write(&file, config).context("cannot write taoboot.toml")?;
    let mut command = ImageCommand {
        kernel: Some(assets.kernel.version.clone()),
        modules_dir: Some(assets.kernel.modules.clone()),
        config: Some(file),
        module: ["virtio_pci", "virtio_blk"]
            .iter()
            .chain(modules)
            .map(|module| (*module).to_owned())
            .collect(),
        output: Some(output.to_path_buf()),
        ..ImageCommand::default()
    };
    command.set_agent(programs::path("init")?);
    image::build::build(&command).context("cannot build the image")
}

/// The encrypted volume, from the cache or new.
pub fn volume(plan: &Plan) -> Result<PathBuf> {
    if let Some(disk) = &plan.root_disk {
        return Ok(disk.clone());
    }
    let content = content(plan)?;
    let volume = LuksVolume {
        uuid: VOLUME_UUID,
        sector_size: 512,
        volume_key: VOLUME_KEY,
        passphrase: PASSPHRASE.as_bytes(),
    };
    let mut key = CacheKey::new("volume", 3);
    key.bytes(content.as_os_str().as_encoded_bytes());
    cached("volume", &key, |image| luks::make(image, &volume, &content))
}

/// What the plan's root holds, as a file system image, not encrypted.
pub(crate) fn content(plan: &Plan) -> Result<PathBuf> {
    match plan.userland {
        Userland::Debian => {
            let mut overlay = taoboot_programs()?;
            overlay.add(&plan.extra);
            debian_root(plan.base, &guest_probe()?, &overlay)
        }
        Userland::Small => small_root(),
    }
}

/// The volume of a small world before anything is enrolled: what an attacker can make as well.
pub fn small_volume() -> Result<PathBuf> {
    volume(&Plan::new(Userland::Small))
}

/// Root and swap of the installed machine.
const FSTAB: &str =
    "/dev/mapper/root / ext4 defaults 0 0\n/dev/mapper/swap none swap defaults 0 0\n";

/// What an installed machine has of taoboot.
fn taoboot_programs() -> Result<Overlay> {
    let mut overlay = Overlay::default();
    // As an installer writes it: systemd waits for the devices that are named here.
    overlay.file("/etc/fstab", 0o644, FSTAB);
    for (program, to) in [
        ("taoboot", "/usr/sbin/taoboot"),
        ("tao", "/usr/bin/tao"),
        ("tao-report", "/usr/bin/tao-report"),
        ("tao-conformance", "/usr/bin/tao-conformance"),
        ("examples/sealed-counter", "/usr/bin/sealed-counter"),
        ("examples/attested-hello", "/usr/bin/attested-hello"),
    ] {
        let from = programs::path(program)?;
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        overlay.file(to, 0o755, content);
    }
    Ok(overlay)
}

/// Runs the `taoboot` program, which must succeed, and reads its JSON.
pub fn taoboot(arguments: &[&str]) -> Result<Value> {
    let output = Command::new(programs::path("taoboot")?)
        .args(arguments)
        .output()
        .context("cannot start taoboot")?;
    if !output.status.success() {
        bail!(
            "taoboot {arguments:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("taoboot {arguments:?} printed no JSON"))
}

pub(super) fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of the tests is not UTF-8")
}
