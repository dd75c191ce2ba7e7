//! A machine that keeps itself up to date: /boot on a partition of its own with GRUB's real
//! menu, taoboot's companions and hooks installed, and a kernel package to install.
//!
//! It begins as any [`World`]: enrolled for a first launch. What happens to /boot afterwards
//! happens in the guest, by the guest's own grub-mkconfig, dpkg and taoboot. Before each boot
//! the harness looks at what is on the boot partition and plays the launch of exactly that.

mod boot_partition;
mod grub_menu;
mod kernel_package;
mod userland;

use anyhow::{Context, Result};

use crate::assets::{Assets, Kernel};
use crate::disk::Disk;
use crate::disk::boot::Firmware;
use crate::launch::Launch;
use crate::machine::{Machine, Tpm};
use crate::measured::launch_of;
use crate::world::{Plan, Userland, World, policy};
use crate::write_log::LoggedDisks;

pub use boot_partition::{BootPartition, Content, FIRST_ENTRY};
pub use grub_menu::{MenuEntry, parse as menu_of};
pub use kernel_package::kernel_package;
pub use userland::NEW_KERNEL;

/// An installed machine.
#[derive(Debug)]
pub struct Installed {
    /// Disks, TPM, enrolment.
    pub world: World,
    /// The boot disk.
    pub boot: BootPartition,
    /// The kernel that it began with.
    pub old: Kernel,
    /// The kernel in the package.
    pub new: Kernel,
}

impl Installed {
    /// Makes it in the scenario's directory, enrolled for the first entry with the old kernel.
    pub fn make(name: &str, firmware: Firmware) -> Result<Self> {
        let assets = Assets::load()?;
        let (old, new) = (assets.kernel_before.clone(), assets.kernel.clone());
        let package = kernel_package(&new)?;
        let plan = Plan {
            firmware,
            kernel: Some(old.clone()),
            extra: userland::overlay(&old, &package)?,
            ..Plan::new(Userland::Debian)
        };
        let world = World::make(name, &plan)?;
        let image = world.directory.join("boot.img");
        let boot = BootPartition::make(&image, firmware, &world.files, &old)?;
        Ok(Self {
            world,
            boot,
            old,
            new,
        })
    }

    /// The same machine, as it is now, for another scenario.
    pub fn copied(&self, name: &str) -> Result<Self> {
        let world = self.world.copied(name)?;
        let image = crate::disk::cache::copy_into(self.boot.image(), &world.directory)?;
        Ok(Self {
            boot: self.boot.at(&image),
            world,
            old: self.old.clone(),
            new: self.new.clone(),
        })
    }

    /// The launch of a menu entry with the files that are on the boot partition now.
    pub fn launch_of(&self, entry: &MenuEntry) -> Result<Launch> {
        let content = self.boot.content()?;
        let files = content.files_of(entry)?;
        // The entry says itself whether it has noefi.
        launch_of(&files, Firmware::Bios, Some(policy()?))
    }

    /// The menu as it is on the boot partition now.
    pub fn menu(&self) -> Result<Vec<MenuEntry>> {
        grub_menu::parse(&self.boot.content()?.read_text("grub/grub.cfg")?)
    }

    /// The entry for a kernel, by its version.
    pub fn entry_of(&self, version: &str) -> Result<MenuEntry> {
        let menu = self.menu()?;
        let ids: Vec<String> = menu.iter().map(|entry| entry.id.clone()).collect();
        menu.into_iter()
            .find(|entry| entry.boots(version))
            .with_context(|| format!("no menu entry boots {version} through tboot: {ids:?}"))
    }

    /// The machine as it boots next, seeing the launch of `entry`.
    pub fn machine(&self, entry: &MenuEntry) -> Result<Machine> {
        Ok(self.machine_seeing(self.launch_of(entry)?))
    }

    /// The same with any launch.
    pub fn machine_seeing(&self, launch: Launch) -> Machine {
        self.machine_with(launch, self.disks())
    }

    /// The same on boot and root disks whose writes are logged as 0 and 1.
    pub fn machine_logged(&self, entry: &MenuEntry, log: &LoggedDisks) -> Result<Machine> {
        let [boot, root, swap] = self.disks();
        let disks = [boot.served_by(log, 0), root.served_by(log, 1), swap];
        Ok(self.machine_with(self.launch_of(entry)?, disks))
    }

    fn disks(&self) -> [Disk; 3] {
        [
            Disk::new(self.boot.image(), "boot"),
            Disk::new(&self.world.root, "root"),
            Disk::new(&self.world.swap, "swap"),
        ]
    }

    fn machine_with(&self, launch: Launch, disks: [Disk; 3]) -> Machine {
        let machine = Machine::in_directory(self.world.name(), self.world.directory.clone())
            .firmware(self.world.firmware)
            .tpm(Tpm::new(&self.world.tpm, Some(launch)))
            .timeout(std::time::Duration::from_secs(500));
        disks.into_iter().fold(machine, Machine::disk)
    }
}

/// The directory goes with the machine, unless the test is failing.
impl Drop for Installed {
    fn drop(&mut self) {
        let directory = &self.world.directory;
        if std::thread::panicking() || std::env::var_os("TAOBOOT_KEEP").is_some() {
            eprintln!("logs and disks are kept in {}", directory.display());
        } else if let Err(error) = std::fs::remove_dir_all(directory) {
            eprintln!("cannot remove {}: {error}", directory.display());
        }
    }
}
