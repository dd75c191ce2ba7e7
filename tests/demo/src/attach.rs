//! `--attach`: boots the kept machine with its console on the user's terminal.

use std::path::PathBuf;

use ::guest::orders::{End, Orders};
use ::harness::disk::orders::orders_disk;
use ::harness::workplace::cache_lock;
use ::harness::world::World;
use anyhow::{Context, Result};

use super::steps::{NAME, plan};

/// Boots it, and returns when the user leaves or the machine ends.
pub fn attach() -> Result<()> {
    let _alone = cache_lock(NAME)?;
    let world = World::open(NAME, &plan())
        .context("`cargo xtask demo --keep` makes a machine to attach to")?;
    let machine = world.machine(Some(world.launch.clone()))?;
    let orders = orders_disk(
        &machine.directory().join("orders.img"),
        &[Orders {
            commands: Vec::new(),
            end: End::Stay,
        }],
    )?;
    eprintln!(
        "The machine boots; the launch is simulated again. A root shell comes in half a minute or so."
    );
    eprintln!("Ctrl-] leaves and pulls the plug; `poweroff` in the shell ends it properly.\n");
    let mut running = machine.disk(orders).start()?;
    let attached = running.console.attach();
    let mut outcome = running.end()?;
    // Kept for the next time.
    outcome.directory = PathBuf::new();
    eprintln!(
        "\nThe machine is off; its disks and logs are in {}.",
        world.directory.display()
    );
    attached
}
