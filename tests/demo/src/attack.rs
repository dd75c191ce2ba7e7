//! The attack: one letter of the kernel's file is another one. The machine is otherwise the
//! same: its TPM, its encrypted disk, its initramfs, its command line.

use std::fs;

use ::harness::disk::Disk;
use ::harness::disk::boot::boot_disk;
use ::harness::kernel_change::change_one_byte;
use ::harness::machine::{Machine, Tpm};
use ::harness::measured::launch_of;
use ::harness::world::{self, World};
use anyhow::{Context, Result};

use super::boot::boot;
use super::facts::Attack;

/// Changes the kernel, and boots it.
pub fn attack(world: &World) -> Result<Attack> {
    let directory = world.directory.join("attack");
    fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut kernel = fs::read(&world.files.kernel).context("cannot read the kernel")?;
    let change = change_one_byte(&mut kernel)?;
    let mut files = world.files.clone();
    files.kernel = directory.join("vmlinuz");
    fs::write(&files.kernel, kernel).context("cannot write the changed kernel")?;
    // What the machine would measure: the files as they are now.
    let launch = launch_of(&files, world.firmware, Some(world::policy()?))?;
    let pcr_18 = launch.sha256_hex(18)?.to_ascii_lowercase();
    let machine = Machine::in_directory("demo-attack", directory)
        .firmware(world.firmware)
        .tpm(Tpm::new(&world.tpm, Some(launch)))
        .disk(Disk::new(boot_disk(&files, world.firmware)?, "boot").read_only())
        .disk(Disk::new(&world.root, "root"))
        .disk(Disk::new(&world.swap, "swap"));
    let boot = boot("boot of the changed kernel", machine)?;
    Ok(Attack {
        change,
        pcr_18,
        boot,
    })
}
