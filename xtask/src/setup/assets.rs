//! Debian kernels and tboot for the tests, unpacked below target/assets: never installed,
//! so that this machine's own boot menu stays as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{step, workspace};

/// Meta package whose dependency names the kernel. The cloud flavour has no drivers that a
/// virtual machine lacks, so it is a third of the size.
const KERNEL: &str = "linux-image-cloud-amd64";
/// The same for every machine, with USB and all file systems.
const KERNEL_GENERAL: &str = "linux-image-amd64";

/// Downloads and unpacks what is missing, then writes assets.json for the tests.
pub fn ensure() -> Result<()> {
    let directory = workspace::assets()?;
    let index = directory.join("assets.json");
    if index.is_file() && is_complete(&index)? {
        return Ok(());
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let kernel = kernel_package(KERNEL)?;
    let other = other_kernel_package(&kernel)?;
    let general = kernel_package(KERNEL_GENERAL)?;
    let tboot = unpack(&directory, "tboot", "tboot")?;
    let value = json!({
        "kernel": unpack_kernel(&directory, &kernel, "linux")?,
        "kernel_before": unpack_kernel(&directory, &other, "linux-before")?,
        "kernel_general": unpack_kernel(&directory, &general, "linux-general")?,
        "tboot": tboot.join("boot/tboot.gz"),
        "tboot_tools": tboot.join("usr/sbin"),
    });
    let text = serde_json::to_string_pretty(&value)?;
    let temporary = directory.join("assets.json.new");
    fs::write(&temporary, text).with_context(|| format!("cannot write {}", temporary.display()))?;
    fs::rename(&temporary, &index).with_context(|| format!("cannot write {}", index.display()))?;
    if !is_complete(&index)? {
        bail!(
            "the packages {kernel} and tboot do not hold what was expected: see {}",
            directory.display()
        );
    }
    Ok(())
}

/// Are all files that assets.json names there? (The checkout may have moved.)
fn is_complete(index: &Path) -> Result<bool> {
    let text =
        fs::read_to_string(index).with_context(|| format!("cannot read {}", index.display()))?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged: delete it", index.display()))?;
    let paths = [
        "/kernel/vmlinuz",
        "/kernel/modules",
        "/kernel/control",
        "/kernel_before/vmlinuz",
        "/kernel_before/modules",
        "/kernel_general/vmlinuz",
        "/kernel_general/modules",
        "/tboot",
        "/tboot_tools",
    ];
    let there = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(|path| path.as_str())
            .is_some_and(|path| Path::new(path).exists())
    };
    Ok(paths.into_iter().all(there))
}

/// The package that the meta package depends on now.
fn kernel_package(meta: &str) -> Result<String> {
    let depends = || step::output(Command::new("apt-cache").args(["depends", meta]));
    let text = depends().with_context(|| format!("apt knows no {meta}: run `apt-get update`"))?;
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("linux-image-"))
        .map(str::to_string)
        .with_context(|| format!("{meta} depends on no kernel image: apt-cache said {text:?}"))
}

/// The newest older kernel of the same flavour: machines that install a new kernel begin with
/// it. A mirror may carry one kernel only; then the flavour for every machine does.
fn other_kernel_package(kernel: &str) -> Result<String> {
    let pattern = "^linux-image-[0-9.]+-[0-9]+-cloud-amd64$";
    let text = step::output(Command::new("apt-cache").args(["search", "--names-only", pattern]))?;
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let older = names
        .filter(|name| release(name) < release(kernel))
        .max_by_key(|name| release(name));
    match older {
        Some(name) => Ok(name.to_owned()),
        None => Ok(kernel.replace("-cloud-", "-")),
    }
}

/// The numbers of a package's name, for comparing.
fn release(package: &str) -> Vec<u64> {
    package
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// Unpacks a kernel's package and indexes its modules.
fn unpack_kernel(directory: &Path, package: &str, name: &str) -> Result<serde_json::Value> {
    let version = package.strip_prefix("linux-image-");
    let version = version.context("kernel package name")?;
    let root = unpack(directory, package, name)?;
    let mut depmod = Command::new("/sbin/depmod");
    step::run("depmod", depmod.arg("-b").arg(&root).arg(version))?;
    Ok(described(&root, version))
}

fn described(root: &Path, version: &str) -> serde_json::Value {
    let boot = root.join("boot");
    json!({
        "version": version,
        "vmlinuz": boot.join(format!("vmlinuz-{version}")),
        "config": boot.join(format!("config-{version}")),
        "modules": root.join("lib/modules").join(version),
        "control": root.join("DEBIAN"),
    })
}

fn unpack(directory: &Path, package: &str, name: &str) -> Result<PathBuf> {
    let downloads = directory.join("download").join(name);
    // A half-finished download of an interrupted run is worth nothing.
    remove(&downloads)?;
    fs::create_dir_all(&downloads)?;
    step::run(
        &format!("download {package}"),
        Command::new("apt-get")
            .args(["--quiet", "download", package])
            .current_dir(&downloads),
    )?;
    let archive = fs::read_dir(&downloads)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| {
            format!(
                "apt-get download {package} left no .deb in {}",
                downloads.display()
            )
        })?;
    let unpacked = directory.join(name);
    remove(&unpacked)?;
    step::run(
        &format!("unpack {package}"),
        Command::new("dpkg-deb")
            .arg("-R")
            .arg(archive)
            .arg(&unpacked),
    )?;
    remove(&downloads)?;
    Ok(unpacked)
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", directory.display())),
    }
}
