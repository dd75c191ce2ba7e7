//! What a machine is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::tpm::{Tpm, TpmVersion};
use crate::disk::Disk;
use crate::disk::boot::Firmware;
use crate::workplace::scenario_directory;

/// Boots a kernel without firmware menu and boot disk: quicker, but nothing measures it.
#[derive(Clone, Debug)]
pub struct DirectKernel {
    /// The bzImage.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The kernel command line.
    pub cmdline: String,
}

/// Describes a machine; [`Machine::run`] boots it.
#[derive(Debug)]
pub struct Machine {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) firmware: Firmware,
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
    pub(super) cpu: String,
    pub(super) tpm: Option<Tpm>,
    pub(super) disks: Vec<Disk>,
    pub(super) shares: Vec<(PathBuf, &'static str)>,
    pub(super) direct: Option<DirectKernel>,
    pub(super) boots: u32,
    pub(super) timeout: Duration,
}

impl Machine {
    /// A machine for the scenario `name`, with an empty directory of its own for its disks
    /// and logs. Two cores, 1 GiB, SeaBIOS, no TPM, no disks, one boot, five minutes.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self::in_directory(name, scenario_directory(name)?))
    }

    /// The same in a directory that exists; what is in it stays.
    pub fn in_directory(name: &str, directory: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            directory,
            firmware: Firmware::Bios,
            memory_mib: 1024,
            cpus: 2,
            cpu: "max".to_owned(),
            tpm: None,
            disks: Vec::new(),
            shares: Vec::new(),
            direct: None,
            boots: 1,
            timeout: Duration::from_secs(300),
        }
    }

    /// The machine's directory: disks made for it belong there.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Which firmware it starts.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// QEMU's name of the CPU model; `max` by default.
    #[must_use]
    pub fn cpu(mut self, model: &str) -> Self {
        model.clone_into(&mut self.cpu);
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mib(mut self, size: u32) -> Self {
        self.memory_mib = size;
        self
    }

    /// Its TPM.
    #[must_use]
    pub fn tpm(mut self, tpm: Tpm) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Takes its TPM out.
    #[must_use]
    pub fn without_tpm(mut self) -> Self {
        self.tpm = None;
        self
    }

    /// Exchanges its TPM for another one, which sees no launch.
    #[must_use]
    pub fn tpm_of(self, version: TpmVersion, state: &Path) -> Self {
        self.tpm(Tpm {
            version,
            ..Tpm::new(state, None)
        })
    }

    /// Adds a disk; the firmware boots from the first.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disks.push(disk);
        self
    }

    /// Lets the guest read a directory: `mount -t 9p -o trans=virtio TAG`. Not with the cloud kernel.
    #[must_use]
    pub fn share(mut self, directory: &Path, tag: &'static str) -> Self {
        self.shares.push((directory.to_owned(), tag));
        self
    }

    /// Boots this kernel instead of a disk.
    #[must_use]
    pub fn direct_kernel(mut self, direct: DirectKernel) -> Self {
        self.direct = Some(direct);
        self
    }

    /// How many times it may boot: the reset after the last boot ends it.
    #[must_use]
    pub fn boots(mut self, boots: u32) -> Self {
        self.boots = boots.max(1);
        self
    }

    /// When it is killed, whatever it does.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
