//! The harness' TPM: the host enrols in the state that the machine then boots with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::assets::Assets;
use harness::boot_files::BootFiles;
use harness::busybox;
use harness::disk::Disk;
use harness::disk::boot::{Firmware, boot_disk};
use harness::disk::cache::copy;
use harness::launch::{Extend, Launch};
use harness::machine::{DirectKernel, Ending, Machine, Tpm};
use harness::measured::launch_of;
use harness::swtpm::HostTpm;
use harness::tool::Tool;

const CMDLINE: &str = "console=ttyS0 panic=-1 loglevel=4";

fn tpm2(tcti: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
    Tool::new(name)
        .env("TPM2TOOLS_TCTI", tcti)
        .args(arguments)
        .run()
        .unwrap()
}

#[test]
fn what_the_host_writes_into_the_tpm_is_there_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("tpm");
    let index = "0x1500016";
    let tpm = HostTpm::start(&state).unwrap();
    let tcti = tpm.tcti();
    tpm2(&tcti, "tpm2_nvdefine", &[index, "-C", "o", "-s", "5"]);
    let file = directory.path().join("content");
    std::fs::write(&file, "hello").unwrap();
    let input = format!("-i{}", file.display());
    tpm2(&tcti, "tpm2_nvwrite", &[index, "-C", "o", &input]);
    tpm.stop().unwrap();
    let tpm = HostTpm::start(&state).unwrap();
    let read = tpm2(&tpm.tcti(), "tpm2_nvread", &[index, "-C", "o", "-s", "5"]);
    assert_eq!(read, b"hello");
}

fn init(machine: &Machine, script: &str) -> PathBuf {
    let assets = Assets::load().unwrap();
    let initramfs = machine.directory().join("initramfs");
    busybox::initramfs(&assets, &[], script, &initramfs).unwrap();
    initramfs
}

#[test]
fn the_launch_of_the_files_on_the_disk_is_what_the_guest_reads() {
    let machine = Machine::new("harness-files").unwrap();
    let report = "cd /sys/class/tpm/tpm0/pcr-sha256\n\
        printf '{\"probe\":1,\"17\":\"%s\",\"18\":\"%s\",\"19\":\"%s\"}\\n' \
        $(cat 17) $(cat 18) $(cat 19) > /dev/ttyS1\npoweroff -f\n";
    let initramfs = init(&machine, report);
    let files = BootFiles::new(&Assets::load().unwrap(), initramfs, CMDLINE);
    let launch = launch_of(&files, Firmware::Bios, None).unwrap();
    let boot = machine.directory().join("boot.img");
    copy(&boot_disk(&files, Firmware::Bios).unwrap(), &boot).unwrap();
    let state = machine.directory().join("tpm");
    let mut tpm = Tpm::new(state, Some(launch.clone()));
    tpm.record = true;
    let outcome = machine
        .disk(Disk::new(boot, "boot"))
        .tpm(tpm)
        .timeout(Duration::from_secs(240))
        .run()
        .unwrap();
    let report = outcome.report_of("probe").unwrap();
    for pcr in [17, 18, 19] {
        let expected = launch.sha256_hex(pcr).unwrap();
        assert_eq!(report[pcr.to_string()], expected, "PCR {pcr}");
    }
    // The recording holds what crossed: the launch's digests are in it.
    let recording = std::fs::read(&outcome.tpm_recording).unwrap();
    let digest = &launch.extends.last().unwrap().digests.last().unwrap().1;
    assert!(recording.windows(32).any(|part| part == digest.as_slice()));
    assert_tboot_saw(&outcome.console, CMDLINE);
    assert_eq!(outcome.ending, Ending::PowerOff);
}

/// tboot prints the command line that it measures.
fn assert_tboot_saw(console: &str, cmdline: &str) {
    let line = format!("TBOOT: \t{cmdline}\n");
    assert!(
        console.contains(&line),
        "tboot did not see exactly {cmdline:?}"
    );
}

#[test]
fn a_changed_kernel_changes_pcr_17_and_nothing_but_the_files_counts() {
    let directory = tempfile::tempdir().unwrap();
    let assets = Assets::load().unwrap();
    let initramfs = directory.path().join("initramfs");
    busybox::initramfs(&assets, &[], "", &initramfs).unwrap();
    let good = BootFiles::new(&assets, &initramfs, CMDLINE);
    let mut changed = good.clone();
    changed.kernel = directory.path().join("vmlinuz");
    flip_last_byte(&good.kernel, &changed.kernel);
    let good_launch = launch_of(&good, Firmware::Bios, None).unwrap();
    let changed_launch = launch_of(&changed, Firmware::Bios, None).unwrap();
    assert_ne!(
        good_launch.sha256_hex(17).unwrap(),
        changed_launch.sha256_hex(17).unwrap()
    );
    assert_eq!(good_launch, launch_of(&good, Firmware::Bios, None).unwrap());
}

fn flip_last_byte(from: &Path, to: &Path) {
    let mut bytes = std::fs::read(from).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(to, bytes).unwrap();
}

#[test]
fn an_extend_that_the_tpm_refuses_is_an_error_of_the_harness() {
    let machine = Machine::new("harness-refused").unwrap();
    let initramfs = init(&machine, "poweroff -f\n");
    // PCR 22 can be extended at locality 2 only.
    let launch = Launch {
        hash_data: b"acm".to_vec(),
        extends: vec![Extend::of_data(3, 22, b"x")],
    };
    let state = machine.directory().join("tpm");
    let result = machine
        .direct_kernel(DirectKernel {
            kernel: Assets::load().unwrap().kernel.vmlinuz,
            initramfs,
            cmdline: CMDLINE.to_owned(),
        })
        .tpm(Tpm::new(state, Some(launch)))
        .timeout(Duration::from_secs(120))
        .run();
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("PCR 22 at locality 3"), "{error}");
}

#[test]
fn a_test_can_type_on_the_console() {
    let machine = Machine::new("harness-console").unwrap();
    let script = "echo 'Say something:'\nread -r line < /dev/ttyS0\n\
        printf '{\"probe\":1,\"typed\":\"%s\"}\\n' \"$line\" > /dev/ttyS1\npoweroff -f\n";
    let initramfs = init(&machine, script);
    let mut running = machine
        .direct_kernel(DirectKernel {
            kernel: Assets::load().unwrap().kernel.vmlinuz,
            initramfs,
            cmdline: CMDLINE.to_owned(),
        })
        .timeout(Duration::from_secs(120))
        .start()
        .unwrap();
    let patience = Duration::from_secs(100);
    running
        .console
        .wait_for("Say something:", patience)
        .unwrap();
    running.console.type_line("open sesame").unwrap();
    running.report.wait_for("\"typed\"", patience).unwrap();
    let outcome = running.wait().unwrap();
    assert_eq!(outcome.report_of("probe").unwrap()["typed"], "open sesame");
}
