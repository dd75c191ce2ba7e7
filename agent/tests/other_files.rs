//! What `taoboot` says of files of another kind, and `taoboot why`.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{fs, process::Command};

/// What it ended with, and what it said.
fn taoboot(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_taoboot"))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn files_of_another_kind_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("elf"), b"\x7fELF\x02\x01\xff\xfe").unwrap();
    fs::write(path("empty"), b"").unwrap();
    for (name, words) in [("elf", "an ELF file"), ("empty", "an empty file")] {
        let file = path(name);
        let (code, said) = taoboot(&[
            "enroll",
            "--volume",
            "/nonexistent",
            "--expect",
            &file,
            "--no-recovery-key",
        ]);
        assert_eq!(code, Some(2));
        assert!(
            said.contains("looks like") && said.contains(words),
            "{said}"
        );
    }
}

#[test]
fn why_asks_the_companion_and_passes_its_answer_on() {
    // Beside the program, as it is installed, or in PATH: neither is there in this test's folder.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("taoboot");
    fs::copy(env!("CARGO_BIN_EXE_taoboot"), &program).unwrap();
    let companion = folder.path().join("tboot-policy");
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
