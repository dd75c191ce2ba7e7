//! The PIN of `taoboot enroll --pin`, typed at a terminal as a person types it.

use std::{
    fs::{self, File},
    io::{Read, Write},
    process::Stdio,
};

use agent::unlock::find_records;
use nix::pty::openpty;

use crate::{
    enroll_pin::{PIN, with_pin},
    enroll_support::{PASSPHRASE, Volume, command, launched},
};

/// What the command says in the end, where the person answers the questions so, one after the other; and what
/// was on the screen beside them.
fn typed(volume: &Volume, tcti: &str, answers: &[(&str, &str)]) -> (bool, String, String) {
    let pty = openpty(None, None).unwrap();
    let passphrase = volume.directory.path().join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let words = ["--current", "--tcti", tcti, "--no-recovery-key", "--pin"];
    let command = command("enroll", &volume.image, &words);
    command.arg("--passphrase-file").arg(passphrase);
    command.stdin(Stdio::from(pty.slave.try_clone().unwrap()));
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = File::from(pty.master);
    let mut said = child.stderr.take().unwrap();
    let mut text = String::new();
    for (question, answer) in answers {
        // What is typed before the question is thrown away.
        while !text.ends_with(question) {
            let mut byte = [0];
            assert_eq!(said.read(&mut byte).unwrap(), 1, "{question}: {text}");
            text.push(char::from(byte[0]));
        }
        screen.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    said.read_to_string(&mut text).unwrap();
    let ended = child.wait().unwrap().success();
    // Something to read there is, whatever was echoed.
    File::from(pty.slave).write_all(b"end").unwrap();
    let mut shown = vec![0; 4096];
    let count = screen.read(&mut shown).unwrap();
    (
        ended,
        text,
        String::from_utf8_lossy(&shown[..count]).into_owned(),
    )
}

#[test]
fn a_pin_is_typed_twice_and_not_shown_and_two_that_differ_are_none() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "image");
    let tcti = swtpm.tcti();
    let differ = [("PIN: ", PIN), ("again: ", "another horse")];
    let (ended, text, _) = typed(&volume, &tcti, &differ);
    assert!(!ended && text.contains("the two differ"), "{text}");
    let (ended, text, _) = typed(&volume, &tcti, &[("PIN: ", "short")]);
    assert!(!ended && !text.contains("again"), "{text}");
    assert!(find_records(&volume.header()).is_empty());
    let (ended, text, screen) = typed(&volume, &tcti, &[("PIN: ", PIN), ("again: ", PIN)]);
    assert!(ended, "{text}");
    assert!(!(text + &screen).contains(PIN), "{screen}");
    assert!(with_pin(&volume, &swtpm, &[PIN]).is_ok());
}
