//! `taoboot-image`, the builder as an installed program.

use std::{fs, process::Command};

use crate::image_fixture::{Fixture, refusal, run};

fn installed() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taoboot-image"))
}

#[test]
fn what_it_builds_it_lists() {
    let fixture = Fixture::new();
    let image = fixture.path("initrd.img");
    fs::write(&image, fixture.build(&[])).unwrap();
    let list = run(installed().arg("ls").arg(image));
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

#[test]
fn a_file_of_another_kind_is_called_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, bytes, words) in [
        ("text", b"hello\n".as_slice(), "looks like a text"),
        ("elf", b"\x7fELF\x02\x01", "looks like an ELF file"),
        ("zip", b"PK\x03\x04", "looks like a ZIP archive"),
        ("empty", b"", "looks like an empty file"),
    ] {
        fs::write(path(name), bytes).unwrap();
        let sentence = refusal(installed().arg("ls").arg(path(name)));
        assert!(sentence.contains(words), "{sentence}");
    }
    let sentence = refusal(installed().arg("ls").arg(directory.path()));
    assert!(sentence.contains("is a directory"), "{sentence}");
}

/// A reader that has gone (`| head`) is not an error.
#[test]
fn a_closed_pipe_is_quiet() {
    let fixture = Fixture::new();
    fixture.build(&[]);
    let image = fixture.path("image.img");
    fs::write(&image, fixture.build(&[])).unwrap();
    for (mut command, verb) in [(installed(), "ls"), (installed(), "--help")] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command
            .arg(verb)
            .stdout(writer)
            .stderr(std::process::Stdio::piped());
        if verb == "ls" {
            command.arg(&image);
        }
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}: {output:?}");
        assert!(output.stderr.is_empty(), "{verb}: {output:?}");
    }
}
