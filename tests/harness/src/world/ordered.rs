//! A boot that carries out commands, powers off and says what they gave.

use std::time::Duration;

use agent::boot::report::Outcome::Booted;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{PASSPHRASE, World};
use crate::disk::orders::orders_disk;
use crate::machine::{Ending, Outcome};
use guest::orders::{End, Order, Orders};

/// How long /init may take to ask for the passphrase.
const QUESTION_PATIENCE: Duration = Duration::from_secs(240);

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

    /// Boots with the passphrase, which a person types, and enrols from within, as an administrator
    /// does on a machine that was just installed: the record is for the launch that runs. Gives what
    /// `taoboot enroll` printed.
    ///
    /// # Errors
    /// /init does not ask, or the enrolment fails.
    pub fn enroll_inside(&self, words: &str) -> Result<Value> {
        let script = format!(
            "printf %s '{PASSPHRASE}' > /run/passphrase && \
             taoboot enroll {words} --current --json --no-recovery-key --passphrase-file /run/passphrase"
        );
        let commands = vec![crate::disk::orders::shell("enroll", &script)];
        let end = End::Poweroff;
        let disk = orders_disk(
            &self.directory.join("orders.img"),
            &[Orders { commands, end }],
        )?;
        let machine = self.machine(Some(self.launch.clone()))?.disk(disk);
        let mut running = machine.start()?;
        running
            .console
            .wait_for("Passphrase or recovery key for", QUESTION_PATIENCE)?;
        running.console.type_line(PASSPHRASE)?;
        let outcome = running.wait()?;
        let enrolled = outcome
            .report_of("probe")?
            .pointer("/commands/enroll")
            .context("the guest reports no enrolment")?;
        ensure!(enrolled["code"] == 0, "not enrolled: {enrolled:#}");
        let stdout = enrolled["stdout"].as_str().context("it printed nothing")?;
        let report = serde_json::from_str(stdout).context("it printed no JSON")?;
        drop(outcome.keep());
        Ok(report)
    }

    /// One boot with these commands, which must be good. The machine's directory stays for the
    /// next boot.
    ///
    /// # Errors
    /// The machine was not unlocked, did not power off, or reported nothing.
    pub fn carry_out(&self, commands: Vec<Order>) -> Result<CarriedOut> {
        let end = End::Poweroff;
        let mut outcome = self.boot(&[Orders { commands, end }])?;
        let boot = outcome.boot_report()?;
        ensure!(boot.outcome == Booted, "not booted: {boot:#?}");
        let ending = &outcome.ending;
        ensure!(*ending == Ending::PowerOff, "ended by {ending:?}");
        let probe = outcome.report_of("probe")?.clone();
        let console = std::mem::take(&mut outcome.console);
        drop(outcome.keep());
        Ok(CarriedOut { probe, console })
    }
}
