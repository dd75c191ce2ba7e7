//! The harness itself: GRUB, tboot and the kernel boot, and the launch reaches the TPM.

use std::path::PathBuf;
use std::time::Duration;

use harness::assets::Assets;
use harness::boot_files::BootFiles;
use harness::busybox;
use harness::disk::Disk;
use harness::disk::boot::{Firmware, boot_disk};
use harness::disk::cache::copy;
use harness::launch::{Extend, Launch};
use harness::machine::{Ending, Machine, Outcome, Tpm, TpmInterface};
use serde_json::Value;

const CMDLINE: &str = "console=ttyS0 panic=-1 loglevel=4 intel_iommu=on";
const REPORT: &str = r#"
value() { cat /sys/class/tpm/tpm0/pcr-sha256/$1; }
printf '{"probe":1,"17":"%s","18":"%s","19":"%s","20":"%s"}\n' \
  $(value 17) $(value 18) $(value 19) $(value 20) > /dev/ttyS1
"#;

fn launch() -> Launch {
    Launch {
        hash_data: b"an authenticated code module".to_vec(),
        extends: vec![
            Extend::of_data(3, 17, b"sinit"),
            Extend::of_data(3, 18, b"sinit key"),
            Extend::of_data(2, 17, b"policy"),
            Extend::of_data(2, 18, b"policy"),
            Extend::of_data(2, 17, b"kernel"),
            Extend::of_data(2, 19, b"initramfs"),
        ],
    }
}

fn machine(name: &str, firmware: Firmware, end: &str) -> Machine {
    let machine = Machine::new(name).unwrap();
    let assets = Assets::load().unwrap();
    let initramfs: PathBuf = machine.directory().join("initramfs");
    let script = format!("{REPORT}\n{end} -f\n");
    busybox::initramfs(&assets, &[], &script, &initramfs).unwrap();
    let files = BootFiles::new(&assets, &initramfs, CMDLINE);
    let boot = machine.directory().join("boot.img");
    copy(&boot_disk(&files, firmware).unwrap(), &boot).unwrap();
    machine
        .firmware(firmware)
        .disk(Disk::new(boot, "boot"))
        .timeout(Duration::from_secs(180))
}

fn with_tpm(machine: Machine, launches: Vec<Option<Launch>>) -> Machine {
    let state = machine.directory().join("tpm");
    let mut tpm = Tpm::new(state, None);
    tpm.launches = launches;
    machine.tpm(tpm)
}

fn assert_pcrs(report: &Value, launch: &Launch) {
    for pcr in 17..=20 {
        let seen = report[pcr.to_string()].as_str().unwrap();
        assert_eq!(seen, launch.sha256_hex(pcr).unwrap(), "PCR {pcr}");
    }
}

fn say(outcome: &Outcome) {
    let seconds = outcome.elapsed.as_secs_f32();
    println!(
        "{:?} after {seconds:.1} s, {:?}",
        outcome.ending, outcome.tpm
    );
}

#[test]
fn the_guest_sees_the_launch_that_was_computed() {
    let launch = launch();
    let machine = machine("harness-launch", Firmware::Bios, "poweroff");
    let outcome = with_tpm(machine, vec![Some(launch.clone())]).run().unwrap();
    say(&outcome);
    assert_pcrs(outcome.report_of("probe").unwrap(), &launch);
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert!(outcome.console.contains("TBOOT: "), "tboot did not run");
    assert_eq!(outcome.tpm.as_ref().unwrap().launches, 1);
}

#[test]
fn without_a_launch_the_dynamic_pcrs_are_all_ones() {
    let machine = machine("harness-no-launch", Firmware::Bios, "poweroff");
    let outcome = with_tpm(machine, vec![]).run().unwrap();
    say(&outcome);
    let report = outcome.report_of("probe").unwrap();
    assert_eq!(report["17"], "F".repeat(64));
    assert_eq!(report["18"], "F".repeat(64));
    assert_eq!(outcome.tpm.as_ref().unwrap().launches, 0);
}

#[test]
fn ovmf_boots_and_sees_the_launch() {
    let launch = launch();
    let machine = machine("harness-ovmf", Firmware::Efi, "poweroff");
    let outcome = with_tpm(machine, vec![Some(launch.clone())]).run().unwrap();
    say(&outcome);
    assert_pcrs(outcome.report_of("probe").unwrap(), &launch);
    assert!(outcome.console.contains("TBOOT: "), "tboot did not run");
}

#[test]
fn a_reboot_sees_its_own_launch() {
    let first = launch();
    let mut second = launch();
    second.extends.push(Extend::of_data(2, 19, b"one more"));
    let machine = machine("harness-reboot", Firmware::Bios, "reboot").boots(2);
    let outcome = with_tpm(machine, vec![Some(first.clone()), Some(second.clone())])
        .run()
        .unwrap();
    say(&outcome);
    let reports = outcome.reports_of("probe");
    assert_eq!(reports.len(), 2, "{}", outcome.console_end());
    assert_pcrs(reports[0], &first);
    assert_pcrs(reports[1], &second);
    assert_eq!(outcome.ending, Ending::Reset);
    assert_eq!(outcome.resets, 2);
}

#[test]
fn a_crb_tpm_works_too() {
    let launch = launch();
    let machine = machine("harness-crb", Firmware::Bios, "poweroff");
    let mut tpm = Tpm::new(machine.directory().join("tpm"), Some(launch.clone()));
    tpm.interface = TpmInterface::Crb;
    let outcome = machine.tpm(tpm).run().unwrap();
    say(&outcome);
    assert_pcrs(outcome.report_of("probe").unwrap(), &launch);
}

#[test]
fn a_machine_that_hangs_is_ended_in_time() {
    let machine = machine("harness-hang", Firmware::Bios, "sleep 1000; poweroff")
        .timeout(Duration::from_secs(4));
    let outcome = machine.run().unwrap();
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert!(outcome.elapsed < Duration::from_secs(20));
}
