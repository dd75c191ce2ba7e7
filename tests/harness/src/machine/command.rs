//! The command line of QEMU for a machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::description::Machine;
use super::tpm::TpmInterface;
use crate::disk::Bus;
use crate::disk::boot::Firmware;
use crate::tool;

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// The cache of translated code is 1 GiB by default. What the first boot left in it makes every
/// write to those pages slow after a reset, so slow that the second boot of a machine with
/// little memory takes minutes (measured with QEMU 7.2); a small cache is emptied in between.
const TCG: &str = "tcg,tb-size=128";

/// Sockets on which the harness listens and to which QEMU connects. In a directory of
/// their own: paths of sockets are short (107 bytes), and those of the workspace may not be.
#[derive(Debug)]
pub struct Sockets {
    directory: tempfile::TempDir,
}

impl Sockets {
    /// A directory for them.
    pub fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("taoboot-")
            .tempdir()
            .context("cannot make a directory for sockets")?;
        Ok(Self { directory })
    }

    /// The path of the socket `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// QEMU with everything that `machine` has.
pub fn qemu(machine: &Machine, sockets: &Sockets) -> Result<Command> {
    let mut command = Command::new("qemu-system-x86_64");
    command.env("PATH", tool::search_path());
    // TCG: an emulated CPU is the same on every host, and KVM is not on every host.
    command
        .args(["-accel", TCG, "-machine", "q35", "-cpu", &machine.cpu])
        .args(["-smp", &machine.cpus.to_string()])
        .args(["-m", &machine.memory_mib.to_string()])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-vga",
            "none",
        ]);
    if machine.boots == 1 {
        command.arg("-no-reboot");
    }
    for port in ["console", "report"] {
        let path = sockets.path(port);
        command
            .arg("-chardev")
            .arg(format!("socket,id={port},path={}", option(&path)?))
            .args(["-serial", &format!("chardev:{port}")]);
    }
    command
        .arg("-chardev")
        .arg(format!(
            "socket,id=qmp,path={}",
            option(&sockets.path("qmp"))?
        ))
        .args(["-mon", "chardev=qmp,mode=control"]);
    if machine.firmware == Firmware::Efi {
        ovmf(&mut command, machine)?;
    }
    if let Some(tpm) = &machine.tpm {
        let device = match tpm.interface {
            TpmInterface::Tis => "tpm-tis",
            TpmInterface::Crb => "tpm-crb",
        };
        command
            .arg("-chardev")
            .arg(format!(
                "socket,id=tpm,path={}",
                option(&sockets.path("tpm"))?
            ))
            .args(["-tpmdev", "emulator,id=tpm0,chardev=tpm"])
            .args(["-device", &format!("{device},tpmdev=tpm0")]);
    }
    if machine.disks.iter().any(|disk| disk.bus == Bus::Usb) {
        command.args(["-device", "qemu-xhci,id=usb"]);
    }
    disks(&mut command, machine)?;
    for (number, (directory, tag)) in machine.shares.iter().enumerate() {
        command
            .arg("-fsdev")
            .arg(format!(
                "local,id=share{number},path={},security_model=none,readonly=on",
                option(directory)?
            ))
            .arg("-device")
            .arg(format!("virtio-9p-pci,fsdev=share{number},mount_tag={tag}"));
    }
    if let Some(direct) = &machine.direct {
        command
            .arg("-kernel")
            .arg(&direct.kernel)
            .arg("-initrd")
            .arg(&direct.initramfs)
            .args(["-append", &direct.cmdline]);
    }
    Ok(command)
}

fn disks(command: &mut Command, machine: &Machine) -> Result<()> {
    for (number, disk) in machine.disks.iter().enumerate() {
        if disk.serial.len() > 20 || !disk.serial.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            bail!(
                "a disk's serial number is 1 to 20 letters and digits, not {:?}",
                disk.serial
            );
        }
        let source = match &disk.served {
            Some(address) => address.clone(),
            None => format!("file={}", option(&disk.image)?),
        };
        let read_only = if disk.read_only { "on" } else { "off" };
        command
            .arg("-drive")
            .arg(format!(
                "if=none,id=disk{number},format=raw,cache=unsafe,read-only={read_only},{source}"
            ))
            .arg("-device")
            .arg(format!(
                "{},drive=disk{number},serial={},bootindex={}",
                disk.bus.device(),
                disk.serial,
                // 0 is the kernel's that QEMU itself loads.
                number + 1
            ));
    }
    Ok(())
}

/// The firmware's code, and a copy of its variables that this machine may change.
fn ovmf(command: &mut Command, machine: &Machine) -> Result<()> {
    let variables = machine.directory.join("ovmf-vars.fd");
    if !variables.exists() {
        std::fs::copy(OVMF_VARS, &variables).with_context(|| {
            format!("cannot copy {OVMF_VARS}: run `cargo xtask setup` (Debian package ovmf)")
        })?;
    }
    command
        .arg("-drive")
        .arg(format!(
            "if=pflash,format=raw,read-only=on,file={OVMF_CODE}"
        ))
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,file={}", option(&variables)?));
    Ok(())
}

/// A path within one of QEMU's option lists, where a comma is written twice.
fn option(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8, which QEMU's options are", path.display()))?;
    Ok(text.replace(',', ",,"))
}
