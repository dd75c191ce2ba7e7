//! The shortest good boot: everything up to the real init.

use agent::boot::report::{Launch, Outcome, Report};
use harness::machine::Ending;
use harness::world::{Plan, Userland, World};
use serde::Deserialize;
use tao::attestation::Opened;

#[test]
fn an_approved_launch_unlocks_root_and_swap_by_itself() {
    let world = World::make("small-good", &Plan::new(Userland::Small)).unwrap();
    let outcome = world
        .machine(Some(world.launch.clone()))
        .unwrap()
        .run()
        .unwrap();
    println!("{}", outcome.console_end());
    let boot = outcome.boot_report().unwrap();
    println!("{boot:#?}");
    assert_eq!(boot.outcome, Outcome::Booted);
    assert_eq!(boot.launch, Launch::Measured);
    assert_eq!(boot.unlocked_by, Some(Opened::Tpm));
    assert!(boot.latched);
    let small = outcome.report_of("small").unwrap();
    assert_eq!(small["swaps"], 1);
    let kept = Report::deserialize(&small["boot"]).unwrap();
    assert_eq!(kept.outcome, Outcome::Booted);
    // The machine offers S3, which its kernel would take; nobody told it on the command line.
    let sleep = small["mem_sleep"].as_str().unwrap();
    assert!(sleep.contains("[s2idle]"), "{sleep}");
    assert!(sleep.contains("deep"), "the machine offers no S3: {sleep}");
    assert!(!world.files.kernel_cmdline.contains("mem_sleep"));
    assert_eq!(outcome.ending, Ending::PowerOff);
}
