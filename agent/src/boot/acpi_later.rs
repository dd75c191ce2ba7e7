//! ACPI tables that were loaded after /init's first look: by the code of other tables, for a device that
//! appeared or a driver, or by whoever may write to the kernel.
//!
//! They are looked at again before the TPM is asked, and before the real init gets the machine. The boot
//! event stays that of the first look. Where the tables are pinned, others than the pinned ones get no key
//! and no real init; where they are not, the console and the report say what was added.

use super::{
    acpi::{self, Found, OtherTables},
    state::Boot,
};
use crate::config::AcpiPin;

/// More are not named on the console.
const NAMED: usize = 4;

/// Looks again.
///
/// # Errors
/// There are others than before, and not the pinned ones. Where those of the first look were not the
/// pinned ones either, the TPM was not asked, and whoever opened the volume has seen why.
pub(super) fn look_again(boot: &mut Boot, pinned: Option<&AcpiPin>) -> Result<(), OtherTables> {
    // They were never looked at.
    let Some(directory) = &boot.acpi_directory else {
        return Ok(());
    };
    let now = acpi::find(directory);
    let before = boot.acpi_later.as_ref().unwrap_or(&boot.acpi);
    if before.event() == now.event() {
        return Ok(());
    }
    let warning = format!(
        "the ACPI tables with code have changed since /init started: {}; PCR 15 holds the digest of the earlier ones",
        told(before, &now)
    );
    let result = match boot.acpi.check(pinned) {
        Ok(()) => now.check(pinned),
        Err(_) => Ok(()),
    };
    boot.report.acpi_later = now.tables().cloned();
    boot.acpi_later = Some(now);
    boot.warn(warning);
    result
}

fn told(before: &Found, now: &Found) -> String {
    match now {
        Found::Tables(tables) => {
            let added = tables.beside(before.tables());
            let mut named: Vec<&str> = added.iter().copied().take(NAMED).collect();
            if added.len() > NAMED {
                named.push("...");
            }
            match added.len() {
                0 => "some are gone".to_owned(),
                count => format!("{count} more ({})", named.join(", ")),
            }
        }
        Found::None => "all are gone".to_owned(),
        Found::Unknown(why) => format!("they cannot be read any more ({why})"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A boot that has looked at tables, and the pin of these.
    fn boot(directory: &Path) -> (Boot, AcpiPin) {
        fs::create_dir_all(directory.join("dynamic")).unwrap();
        fs::write(directory.join("DSDT"), "d").unwrap();
        let mut boot = Boot::start();
        boot.read_acpi(directory);
        let digest = hex::encode(boot.acpi.tables().unwrap().digest());
        (boot, AcpiPin::try_from(digest).unwrap())
    }

    #[test]
    fn a_table_that_is_loaded_later_is_told_once_and_refused_where_the_tables_are_pinned() {
        let machine = tempfile::tempdir().unwrap();
        let table = machine.path().join("dynamic/SSDT7");
        for is_pinned in [false, true] {
            let (mut boot, pin) = boot(machine.path());
            let pinned = is_pinned.then_some(&pin);
            look_again(&mut boot, pinned).unwrap();
            assert!(boot.report.warnings.is_empty() && boot.report.acpi_later.is_none());
            let event = boot.acpi.event();
            fs::write(&table, "late").unwrap();
            assert_eq!(look_again(&mut boot, pinned).is_err(), is_pinned);
            let [warning] = &boot.report.warnings[..] else {
                panic!("{:?}", boot.report.warnings);
            };
            assert!(warning.contains("1 more (dynamic/SSDT7 "), "{warning}");
            assert!(boot.report.acpi_later.is_some());
            // What PCR 15 gets is what was there first.
            assert_eq!(boot.acpi.event(), event);
            // What was refused is known, and told no second time.
            look_again(&mut boot, pinned).unwrap();
            assert_eq!(boot.report.warnings.len(), 1);
            fs::remove_file(&table).unwrap();
            look_again(&mut boot, None).unwrap();
            assert_eq!(boot.report.warnings.len(), 2);
        }
    }

    /// The TPM was not asked, and a person with the recovery key goes on all the same.
    #[test]
    fn where_the_first_tables_were_not_the_pinned_ones_later_ones_are_told_only() {
        let machine = tempfile::tempdir().unwrap();
        let (mut boot, _) = boot(machine.path());
        let other = AcpiPin::try_from("ab".repeat(32)).unwrap();
        fs::write(machine.path().join("SSDT1"), "late").unwrap();
        look_again(&mut boot, Some(&other)).unwrap();
        assert_eq!(boot.report.warnings.len(), 1);
    }

    #[test]
    fn tables_that_cannot_be_read_any_more_are_not_the_pinned_ones() {
        let machine = tempfile::tempdir().unwrap();
        let (mut boot, pin) = boot(machine.path());
        fs::write(machine.path().join("odd name"), "").unwrap();
        look_again(&mut boot, Some(&pin)).unwrap_err();
        assert!(boot.report.warnings[0].contains("cannot be read any more"));
        let gone = tempfile::tempdir().unwrap();
        let (mut boot, pin) = self::boot(gone.path());
        fs::remove_dir_all(gone.path()).unwrap();
        look_again(&mut boot, Some(&pin)).unwrap_err();
        assert!(boot.report.warnings[0].contains("all are gone"));
    }
}
