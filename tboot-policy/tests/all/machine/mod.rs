//! The menu of a machine whose entries the real grub-mkconfig wrote.

use tboot_policy::grub::{BootEntry, Menu, Variables};
pub use test_support::grub_machine::{Machine, text};

pub trait Menus {
    /// grub.cfg as it is read here, and what grub-mkconfig said.
    fn menu(&self) -> (Menu, String);

    /// The first measured entry.
    fn first(&self) -> BootEntry;
}

impl Menus for Machine {
    fn menu(&self) -> (Menu, String) {
        let (config, stderr) = self.mkconfig();
        (
            Menu::parse(config.as_bytes(), Variables::default()).unwrap(),
            stderr,
        )
    }

    fn first(&self) -> BootEntry {
        self.menu().0.entries()[0].boot().unwrap()
    }
}
