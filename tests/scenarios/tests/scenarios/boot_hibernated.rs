//! A machine that hibernates: its memory comes back in the launch that made the image, and in no other.

use agent::boot::{
    phase::Phase,
    report::{Launch, Outcome},
};
use guest::orders::{End, Order, Orders};
use harness::disk::orders::{orders_disk, shell};
use harness::installer::{self, Layout};
use harness::machine::{Ending, Machine};
use harness::world::World;

/// Little memory makes a small image.
const MEMORY_MIB: u32 = 512;

/// Everything that the resumed system says comes from before it slept, but for the last word.
const HIBERNATE: &str = "cat /proc/sys/kernel/random/boot_id > /run/marker
cat /sys/class/tpm/tpm0/pcr-sha256/15 > /run/told
tao run /usr/bin/tao-report > /run/report-before
echo 0 > /sys/power/image_size
echo disk > /sys/power/state || exit 1
cat /run/marker /proc/sys/kernel/random/boot_id
swapon --noheadings --show=NAME | xargs -n1 realpath
realpath /dev/mapper/debian--vg-swap_1
journalctl -k -o cat --grep 'locked memory, and in a hibernation image' | wc -l
test \"$(cat /run/told)\" = \"$(cat /sys/class/tpm/tpm0/pcr-sha256/15)\"; echo \"pcr 15: $?\"
tao run /usr/bin/tao-report > /run/report-after 2>&1
for file in before after; do
    grep -q '\"verified\": *true' /run/report-$file; echo $?
    grep -q 'resumed from hibernation' /run/report-$file; echo $?
done
touch /root/written-after";

/// What the kernel takes for an image until it looks for it: a map of nothing.
const FORGE: &str = "set -e
swapoff -a
swap=/dev/mapper/debian--vg-swap_1
dd if=$swap of=$swap bs=1 skip=4086 seek=4076 count=10 conv=notrunc
dd if=/dev/zero of=$swap bs=4096 seek=1 count=1 conv=notrunc
printf '\\1\\0\\0\\0\\0\\0\\0\\0' | dd of=$swap bs=1 seek=4064 conv=notrunc
printf 'S1SUSPEND\\0' | dd of=$swap bs=1 seek=4086 conv=notrunc
sync";

fn machine(world: &World, commands: Vec<Order>) -> Machine {
    let end = End::Poweroff;
    let orders = orders_disk(
        &world.directory.join("orders.img"),
        &[Orders { commands, end }],
    )
    .unwrap();
    let machine = world.machine(Some(world.launch.clone())).unwrap();
    machine.disk(orders).memory_mib(MEMORY_MIB)
}

fn hibernate() -> Vec<Order> {
    let sleep = Order {
        seconds: 200,
        ..shell("hibernate", HIBERNATE)
    };
    vec![sleep, shell("forge", FORGE)]
}

/// Debian's "guided, encrypted LVM", with the `resume=` that its installer sets and hibernation allowed in
/// the measured configuration. Secret memory is on in this kernel, so that the Tao host's would forbid it.
#[test]
fn debians_encrypted_lvm_sleeps_and_only_the_launch_that_it_slept_in_wakes_it() {
    let mut plan = installer::plan(Layout::DebianLvm)
        .unwrap()
        .cmdline("resume=/dev/mapper/debian--vg-swap_1 secretmem.enable=1");
    plan.config.push_str("[swap]\nresume = true\n");
    let world = World::make("machine-resume", &plan).unwrap();

    let asleep = machine(&world, hibernate()).run().unwrap();
    assert_eq!(asleep.ending, Ending::PowerOff, "{}", asleep.console_end());
    let report = asleep.boot_report().unwrap();
    assert_eq!(report.outcome, Outcome::Booted, "{report:#?}");
    // The tests' records name a swap for a random key.
    let [warning] = report.warnings.as_slice() else {
        panic!("{report:#?}");
    };
    assert!(warning.contains("[swap] resume = true"), "{warning}");
    assert!(
        asleep.reports_of("probe").is_empty(),
        "it did not hibernate: {:#?}",
        asleep.reports
    );
    let asleep_after = asleep.elapsed;
    drop(asleep.keep());
    let other = world.copied("machine-resume-other").unwrap();

    let awake = machine(&world, hibernate()).run().unwrap();
    assert_eq!(awake.ending, Ending::PowerOff, "{}", awake.console_end());
    let report = awake.boot_report().unwrap();
    assert_eq!(report.outcome, Outcome::Resuming, "{report:#?}");
    assert_eq!(report.launch, Launch::Measured);
    assert!(report.latched && report.boot_event.is_some());
    let hibernated = &awake.report_of("probe").unwrap()["commands"]["hibernate"];
    assert_eq!(hibernated["code"], 0, "{hibernated:#}");
    let said: Vec<&str> = hibernated["stdout"].as_str().unwrap().lines().collect();
    let [marker, boot_id, swap, own, told, latch, attested @ ..] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!(marker, boot_id, "another boot");
    assert_eq!(swap, own, "swap is on the logical volume and nowhere else");
    assert_eq!(*told, "1", "the Tao host says where its keys are");
    assert_eq!(*latch, "pcr 15: 1", "its host's evidence fits no more");
    // Verified and not refused before; refused, by a host that answers, after.
    assert_eq!(attested, ["0", "1", "1", "0"], "{hibernated:#}");
    let forged = &awake.report_of("probe").unwrap()["commands"]["forge"];
    assert_eq!(forged["code"], 0, "{forged:#}");
    eprintln!("asleep in {:?}, awake in {:?}", asleep_after, awake.elapsed);
    drop(awake.keep());

    // An image that the kernel does not take: the machine boots anew, with its swap.
    let anew = machine(
        &world,
        vec![shell("swap", "swapon --noheadings --show=NAME")],
    )
    .run()
    .unwrap();
    let reports = anew.boot_reports().unwrap();
    let [asked, booted] = reports.as_slice() else {
        panic!("{reports:#?}");
    };
    assert_eq!(asked.outcome, Outcome::Resuming);
    assert_eq!(booted.outcome, Outcome::Booted, "{booted:#?}");
    let warnings = booted.warnings.join(" ");
    assert!(warnings.contains("did not resume"), "{warnings}");
    assert!(warnings.contains("no Tao host"), "{warnings}");
    let probe = anew.report_of("probe").unwrap();
    assert!(
        probe["tao_hosts"].as_array().unwrap().is_empty(),
        "{probe:#}"
    );
    assert_eq!(
        probe["commands"]["swap"]["stdout"]
            .as_str()
            .unwrap()
            .lines()
            .count(),
        1
    );
    drop(anew.keep());

    // The same disk as it slept, in a launch that nobody approved.
    let launch = other.launch_with_pcr18_of(b"another kernel");
    let refused = machine(&other, Vec::new())
        .tpm(harness::machine::Tpm::new(&other.tpm, Some(launch)))
        .run()
        .unwrap();
    let report = refused.boot_report().unwrap();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(report.phase, Some(Phase::Unseal), "{report:#?}");
    assert_eq!(refused.secrets_released().unwrap(), 0);
    assert!(refused.reports_of("probe").is_empty());
}
