//! A boot that carries out commands, powers off and says what they gave.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::World;
use crate::disk::orders::orders_disk;
use crate::machine::{Ending, Outcome};
use guest::orders::{End, Order, Orders};

/// A good boot that carried out its orders.
pub struct CarriedOut {
    /// The report of the probe, with what each command gave.
    pub probe: Value,
    /// What the machine printed.
    pub console: String,
}

impl World {
    /// Boots so many times, by its own launch, with orders for each boot.
    ///
    /// # Errors
    /// The machine could not be started.
    pub fn boot(&self, orders: &[Orders]) -> Result<Outcome> {
        let boots = u32::try_from(orders.len())?;
        let disk = orders_disk(&self.directory.join("orders.img"), orders)?;
        let machine = self.machine(Some(self.launch.clone()))?;
        machine.disk(disk).boots(boots).run()
    }

    /// One boot with these commands, which must be good. The machine's directory stays for the
    /// next boot.
    ///
    /// # Errors
    /// The machine was not unlocked, did not power off, or reported nothing.
    pub fn carry_out(&self, commands: Vec<Order>) -> Result<CarriedOut> {
        let end = End::Poweroff;
        let mut outcome = self.boot(&[Orders { commands, end }])?;
        let boot = outcome.report_of("taoboot")?;
        ensure!(boot["outcome"] == "booted", "not booted: {boot:#}");
        let ending = &outcome.ending;
        ensure!(*ending == Ending::PowerOff, "ended by {ending:?}");
        let probe = outcome.report_of("probe")?.clone();
        let console = std::mem::take(&mut outcome.console);
        drop(outcome.keep());
        Ok(CarriedOut { probe, console })
    }
}
