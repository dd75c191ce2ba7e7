//! `taoboot why`.

use std::{fs, process::Command};

#[test]
fn why_asks_the_companion_and_passes_its_answer_on() {
    // Beside the program, as it is installed, or in PATH: neither is there in this test's directory.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("taoboot");
    fs::copy(env!("CARGO_BIN_EXE_taoboot"), &program).unwrap();
    let companion = directory.path().join("tboot-policy");
    fs::write(&companion, "#!/bin/sh\necho \"$@\"\nexit 2\n").unwrap();
    let mut mode = fs::metadata(&companion).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(&companion, mode).unwrap();
    let output = Command::new(&program)
        .args(["why", "--json", "a file"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"launch-log --json -- a file\n");
}
