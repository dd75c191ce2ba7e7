//! ACPI tables that GRUB gives to the kernel: its code runs before /init, under the approved launch.

use crate::common::{assert_latched, assert_refused, small};
use agent::boot::{
    phase::Phase,
    report::{Launch, Outcome},
};

/// A table with code (ACPI 6.5, 5.2.6 and 20.2): `Name (\\TAOB, One)`, which does nothing.
fn table() -> Vec<u8> {
    let code = [0x08, b'\\', b'T', b'A', b'O', b'B', 0x01];
    let mut table = b"SSDT".to_vec();
    table.extend((36 + code.len() as u32).to_le_bytes());
    table.extend([2, 0]);
    table.extend(b"TAOBOOTESTTABLE ");
    table.truncate(10 + 14);
    table.extend(1_u32.to_le_bytes());
    table.extend(b"TEST");
    table.extend(1_u32.to_le_bytes());
    table.extend(code);
    let sum = table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = 0_u8.wrapping_sub(sum);
    table
}

#[test]
fn a_table_that_grub_loads_is_told_and_gets_no_key_where_the_tables_are_pinned() {
    let mut world = small("acpi-table");
    world.files.acpi_table = Some(world.directory.join("table.aml"));
    std::fs::write(world.directory.join("table.aml"), table()).unwrap();
    let attack = "acpi /boot/table.aml\n";

    // The control: the attack is one. The launch is the approved one, and the key is released.
    let machine = world.machine_with_grub_lines(attack, Some(world.launch.clone()));
    let outcome = machine.unwrap().run().unwrap();
    let attacked = outcome.boot_report().unwrap();
    assert_eq!(attacked.outcome, Outcome::Booted, "{attacked:#?}");
    let loaded = attacked.acpi.unwrap();
    outcome.keep();

    let outcome = world
        .machine(Some(world.launch.clone()))
        .unwrap()
        .run()
        .unwrap();
    let booted = outcome.boot_report().unwrap();
    assert_eq!(booted.outcome, Outcome::Booted, "{booted:#?}");
    let genuine = booted.acpi.unwrap();
    assert!(
        genuine
            .lines()
            .iter()
            .any(|table| table.starts_with("DSDT ")),
        "{genuine:?}"
    );
    assert_eq!(
        loaded.lines().len(),
        genuine.lines().len() + 1,
        "{loaded:?} {genuine:?}"
    );
    let digest = hex::encode(genuine.digest());
    assert_ne!(loaded.digest(), genuine.digest());
    let event = booted.boot_event.unwrap();
    assert!(event.ends_with(&format!(" acpi={digest}")), "{event}");
    outcome.keep();

    world
        .rebuild_image(&format!("acpi_tables = \"{digest}\""))
        .unwrap();
    // Another launch is another record; nobody is here who could reseal.
    world.enroll_files(&["--new-host-secret"]).unwrap();
    let outcome = world
        .machine(Some(world.launch.clone()))
        .unwrap()
        .run()
        .unwrap();
    let pinned = outcome.boot_report().unwrap();
    assert_eq!(pinned.outcome, Outcome::Booted, "{pinned:#?}");
    assert_eq!(pinned.acpi, Some(genuine));
    outcome.keep();

    let machine = world.machine_with_grub_lines(attack, Some(world.launch.clone()));
    let outcome = machine.unwrap().run().unwrap();
    let report = assert_refused(
        &outcome,
        Phase::Acpi,
        &["ACPI tables", &digest, "TPM is not asked"],
    );
    assert_eq!(report.launch, Launch::Measured);
    assert_eq!(report.pcrs, pinned.pcrs);
    assert_latched(&outcome, &report);
}
