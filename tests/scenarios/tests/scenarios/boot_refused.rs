//! Launches that nobody approved: the TPM keeps the key, and a sentence says what differs.
//!
//! The changed files are on the boot disk, GRUB and tboot load them, and the launch is
//! computed from them.

use crate::common::{assert_latched, assert_refused, assert_stopped, small};
use agent::boot::{phase::Phase, report};
use agent::config::OnFailure;
use harness::kernel_change::change_one_byte;
use harness::launch::{Extend, Launch};
use harness::machine::Ending;
use harness::world::{Plan, Userland, World};
use tpm::PcrIndex;

/// Boots what is on the boot disk now. It must be refused, and the sentence must name the
/// registers that differ, `pcr` among them, and no other. tboot's own PCR 17 covers what its
/// policy measures as well, so it may be one of them.
fn refused_for(world: &World, pcr: u8, component: &str) {
    let launch = world.launch_of_files().unwrap();
    let value = |launch: &Launch, pcr| launch.sha256_hex(pcr).unwrap().to_ascii_lowercase();
    let outcome = world.machine(Some(launch.clone())).unwrap().run().unwrap();
    let found = value(&launch, pcr);
    let named = format!("PCR {pcr} ({component}) is {}", &found[..8]);
    let wanted = format!("expected {}", &value(&world.launch, pcr)[..8]);
    let words = ["not approved", &named, &wanted];
    let report = assert_refused(&outcome, Phase::Unseal, &words);
    for register in 17..=19 {
        let differs = value(&launch, register) != value(&world.launch, register);
        let is_named = report
            .reason
            .as_deref()
            .unwrap()
            .contains(&format!("PCR {register} ("));
        assert_eq!(is_named, differs, "PCR {register}: {report:#?}");
        let register = PcrIndex::try_from(register).unwrap();
        assert_eq!(report.pcrs[&register], value(&launch, register.get()));
    }
    assert_eq!(report.launch, report::Launch::Measured);
    assert_latched(&outcome, &report);
}

#[test]
fn a_boot_without_a_measured_launch_gets_no_key_and_is_named_as_such() {
    let world = small("no-launch");
    let outcome = world.machine(None).unwrap().run().unwrap();
    let report = assert_refused(&outcome, Phase::Unseal, &["not a measured launch"]);
    assert_eq!(report.launch, report::Launch::None);
    let pcr_17 = PcrIndex::try_from(17).unwrap();
    assert_eq!(report.pcrs[&pcr_17], "ff".repeat(32));
    assert_latched(&outcome, &report);
}

#[test]
fn a_kernel_with_one_byte_changed_gets_no_key() {
    let mut world = small("kernel-changed");
    let mut kernel = std::fs::read(&world.files.kernel).unwrap();
    change_one_byte(&mut kernel).unwrap();
    world.files.kernel = world.directory.join("vmlinuz");
    std::fs::write(&world.files.kernel, kernel).unwrap();
    refused_for(&world, 18, "the kernel and its command line");
}

#[test]
fn another_command_line_gets_no_key() {
    let mut world = small("cmdline-changed");
    world.files.kernel_cmdline += " init=/bin/sh";
    refused_for(&world, 18, "the kernel and its command line");
}

#[test]
fn another_initramfs_gets_no_key() {
    let mut world = small("initramfs-changed");
    world.rebuild_image("failure_delay = 2").unwrap();
    refused_for(&world, 19, "the initramfs");
}

#[test]
fn a_launch_with_an_extend_too_many_gets_no_key() {
    let world = small("extend-too-many");
    for pcr in 17..=19 {
        let mut launch = world.launch.clone();
        launch.extends.push(Extend::of_data(2, pcr, b"one more"));
        let machine = world.direct(Some(launch), "");
        let outcome = machine.run().unwrap();
        let report = assert_refused(&outcome, Phase::Unseal, &[&format!("PCR {pcr} (")]);
        assert_latched(&outcome, &report);
        outcome.keep();
    }
    std::fs::remove_dir_all(&world.directory).unwrap();
}

#[test]
fn the_policy_poweroff_switches_the_machine_off() {
    let plan = Plan::new(Userland::Small).cmdline("taoboot.on_failure=poweroff");
    let world = World::make("poweroff", &plan).unwrap();
    let outcome = world.machine(None).unwrap().run().unwrap();
    let report = assert_stopped(&outcome, Phase::Unseal, &["not a measured launch"]);
    assert_eq!(report.action, Some(OnFailure::Poweroff));
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.secrets_released().unwrap(), 0);
}

/// What /init executes after a panic, with the arguments that the panic's hook gives it: the kernel
/// passes on what stands behind `--`.
#[test]
fn a_defect_of_the_agent_carries_out_the_failure_policy() {
    let world = small("defect");
    for (policy, ending) in [("poweroff", Ending::PowerOff), ("reboot", Ending::Reset)] {
        let words = format!("-- --after-panic {policy} 1 root boom");
        let outcome = world.direct(None, &words).run().unwrap();
        let shown = outcome
            .console
            .contains("defect of taoboot, please report it: boom");
        assert!(shown, "{}", outcome.console_end());
        assert_eq!(outcome.ending, ending, "{policy}");
        assert!(outcome.boot_reports().unwrap().is_empty());
        outcome.keep();
    }
    std::fs::remove_dir_all(&world.directory).unwrap();
}
