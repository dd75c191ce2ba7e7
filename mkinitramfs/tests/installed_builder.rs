//! `taoboot-image`, the builder as an installed program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code
)]

mod image_fixture;

use std::{fs, process::Command};

use image_fixture::{Fixture, refusal, run};

fn installed() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taoboot-image"))
}

/// The fixture's own command line for the other program.
fn same_options(fixture: &Fixture, output: &str) -> Command {
    let other = fixture.command(&fixture.path(output), &[]);
    let mut command = installed();
    // Without the verb of xtask.
    command.args(other.get_args().skip(1));
    command
}

#[test]
fn it_builds_the_same_bytes_as_xtask() {
    let fixture = Fixture::new();
    let expected = fixture.build(&[]);
    run(&mut same_options(&fixture, "installed.img"));
    assert_eq!(fs::read(fixture.path("installed.img")).unwrap(), expected);
    let list = run(installed().arg("ls").arg(fixture.path("installed.img")));
    assert!(String::from_utf8(list.stdout).unwrap().contains("init"));
}

#[test]
fn without_a_config_the_administrators_is_taken() {
    let fixture = Fixture::new();
    let output = fixture.path("x.img");
    let mut command = installed();
    command.arg("--agent").arg(fixture.path("agent"));
    let sentence = refusal(command.arg("--output").arg(&output));
    let config = "/etc/taoboot/image.toml";
    if !fs::exists(config).unwrap() {
        assert!(
            sentence.contains(&format!("cannot read --config {config}")),
            "{sentence}"
        );
    }
    assert!(sentence.starts_with("taoboot-image: "), "{sentence}");
    assert!(!output.exists());
}
