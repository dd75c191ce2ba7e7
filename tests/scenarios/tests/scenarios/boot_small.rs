//! The shortest good boot: everything up to the real init.

use harness::machine::Ending;
use harness::world::{Plan, Userland, World};

#[test]
fn an_approved_launch_unlocks_root_and_swap_by_itself() {
    let world = World::make("small-good", &Plan::new(Userland::Small)).unwrap();
    let outcome = world
        .machine(Some(world.launch.clone()))
        .unwrap()
        .run()
        .unwrap();
    println!("{}", outcome.console_end());
    let boot = outcome.report_of("taoboot").unwrap();
    println!("{boot:#}");
    assert_eq!(boot["outcome"], "booted");
    assert_eq!(boot["launch"], "measured");
    assert_eq!(boot["unlocked_by"], "tpm");
    assert_eq!(boot["latched"], true);
    let small = outcome.report_of("small").unwrap();
    assert_eq!(small["swaps"], 1);
    assert_eq!(small["boot"]["outcome"], "booted");
    // The machine offers S3, which its kernel would take; nobody told it on the command line.
    let sleep = small["mem_sleep"].as_str().unwrap();
    assert!(sleep.contains("[s2idle]"), "{sleep}");
    assert!(sleep.contains("deep"), "the machine offers no S3: {sleep}");
    assert!(!world.files.kernel_cmdline.contains("mem_sleep"));
    assert_eq!(outcome.ending, Ending::PowerOff);
}
