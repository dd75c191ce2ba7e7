//! Wrong words, files and devices: one clear sentence, no key, nothing written over.

use crate::common::{assert_refused, assert_stopped, small};
use agent::boot::phase::Phase;
use harness::machine::{Ending, TpmVersion};
use harness::world::World;

/// Each boot with these words more, which must stop in `phase` with a sentence that holds
/// `expected`; the volume stays as it was.
fn refused_with(world: &World, cases: &[(&str, Phase, &[&str])]) {
    let before = std::fs::read(&world.root).unwrap();
    for (words, phase, expected) in cases {
        let outcome = world
            .direct(Some(world.launch.clone()), words)
            .run()
            .unwrap();
        assert_refused(&outcome, *phase, expected);
        outcome.keep();
    }
    assert!(
        std::fs::read(&world.root).unwrap() == before,
        "the volume was written to"
    );
}

#[test]
fn wrong_words_on_the_command_line_are_named() {
    let world = small("words");
    refused_with(
        &world,
        &[
            (
                "taoboot.on_failur=reboot",
                Phase::Config,
                &["taoboot.on_failur", "is not an option of taoboot"],
            ),
            (
                "taoboot.device_timeout=soon",
                Phase::Config,
                &["taoboot.device_timeout", "soon", "number of seconds"],
            ),
            (
                "rd.luks.uuid=7a0b-no-uuid",
                Phase::Config,
                &["rd.luks.uuid", "7a0b-no-uuid"],
            ),
        ],
    );
    std::fs::remove_dir_all(&world.directory).unwrap();
}

#[test]
fn a_volume_that_is_not_there_is_named_with_the_disks_that_are() {
    let mut world = small("no-volume");
    let other = "7a0b00ff-00ff-40ff-80ff-0000000000ff";
    world.files.kernel_cmdline = world
        .files
        .kernel_cmdline
        .replace(harness::world::VOLUME_UUID, other);
    let words = "taoboot.device_timeout=2";
    refused_with(
        &world,
        &[(
            words,
            Phase::Devices,
            &[other, "did not appear within 2 s", "vda"],
        )],
    );
    std::fs::remove_dir_all(&world.directory).unwrap();
}

#[test]
fn an_unknown_key_in_the_configuration_is_refused_before_there_is_an_image() {
    let mut world = small("config-key");
    let before = std::fs::read(&world.files.initramfs).unwrap();
    let error = world.rebuild_image("on_failur = \"prompt\"").unwrap_err();
    let sentence = format!("{error:#}");
    for word in ["taoboot.toml", "line 1", "on_failur", "on_failure"] {
        assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
    }
    assert!(std::fs::read(&world.files.initramfs).unwrap() == before);
    std::fs::remove_dir_all(&world.directory).unwrap();
}

#[test]
fn a_machine_without_a_tpm_says_where_to_look() {
    let world = small("no-tpm");
    let machine = world.direct(None, "taoboot.device_timeout=2").without_tpm();
    let outcome = machine.run().unwrap();
    let report = assert_stopped(&outcome, Phase::Tpm, &["no TPM", "firmware set-up"]);
    assert!(!report.latched);
    assert_eq!(outcome.ending, Ending::Reset);
}

#[test]
fn a_tpm_1_2_is_named_as_such() {
    let world = small("tpm12");
    let machine = world.direct(None, "taoboot.device_timeout=2");
    let state = world.directory.join("tpm12");
    let outcome = machine.tpm_of(TpmVersion::V1_2, &state).run().unwrap();
    let report = assert_stopped(&outcome, Phase::Tpm, &["TPM 1.2", "TPM 2.0 is needed"]);
    assert!(!report.latched);
    assert_eq!(outcome.ending, Ending::Reset);
}
