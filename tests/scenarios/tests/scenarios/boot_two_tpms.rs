//! A machine with two TPMs: the real one, and another that the kernel lists beside it.

use agent::boot::{phase::Phase, report::Outcome};
use std::fs;
use tao::attestation::Opened;

use crate::common::{assert_latched, assert_refused, small};
use harness::assets::Assets;
use harness::programs;
use harness::world::World;

/// QEMU gives a machine one TPM ("Only one TPM is allowed."), so the second is made by a program that
/// runs before /init, in an image that is measured and enrolled with it.
fn with_second_tpm(world: &mut World) {
    let modules = Assets::load().unwrap().kernel.modules;
    let proxy = modules.join("kernel/drivers/char/tpm/tpm_vtpm_proxy.ko");
    let init = programs::path("second_tpm").unwrap();
    world
        .wrap_init(&init, &[("tpm_vtpm_proxy.ko", &proxy)])
        .unwrap();
    world.enroll_files(&["--new-host-secret"]).unwrap();
}

#[test]
fn with_two_tpms_and_none_pinned_nothing_is_released_and_with_the_right_one_pinned_it_boots() {
    let mut world = small("two-tpms");
    // The control: the storage key of the right one is pinned, and that it is not alone changes nothing.
    with_second_tpm(&mut world);
    let machine = world.machine(Some(world.launch.clone())).unwrap();
    let outcome = machine.run().unwrap();
    let booted = outcome.boot_report().unwrap();
    assert_eq!(booted.outcome, Outcome::Booted, "{booted:#?}");
    assert_eq!(booted.unlocked_by, Some(Opened::Tpm), "{booted:#?}");
    assert_latched(&outcome, &booted);
    outcome.keep();

    let toml = world.directory.join("taoboot.toml");
    let config = fs::read_to_string(&toml).unwrap();
    let (pin, rest) = config.split_once('\n').unwrap();
    assert!(pin.starts_with("srk_name"), "{pin}");
    fs::write(&toml, rest).unwrap();
    world.rebuild_image("").unwrap();
    with_second_tpm(&mut world);
    let machine = world.machine(Some(world.launch.clone())).unwrap();
    let outcome = machine.run().unwrap();
    let words = ["several TPMs (tpm0, tpm1)", "srk_name"];
    let report = assert_refused(&outcome, Phase::Tpm, &words);
    assert!(!report.latched);
}
