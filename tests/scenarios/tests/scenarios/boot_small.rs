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
    assert_eq!(outcome.ending, Ending::PowerOff);
}
