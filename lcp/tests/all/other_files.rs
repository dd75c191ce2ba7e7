//! What the commands say of files of another kind; and a reader that has gone (`| head`).

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

fn lcp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lcp"))
}

#[test]
fn files_of_another_kind_are_called_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, bytes) in [
        ("text", b"hello, world\n".as_slice()),
        ("json", b"{\"a\": 1}"),
        ("elf", b"\x7fELF\x02\x01\x01"),
        ("xz", b"\xfd7zXZ\0\0"),
        ("zip", b"PK\x03\x04"),
        ("empty", b""),
        ("der", b"\x30\x82\x01\x22\xff\xfe"),
    ] {
        fs::write(path(name), bytes).unwrap();
    }
    let refused = |arguments: &[&str], name: &str| {
        let output = lcp().args(arguments).arg(path(name)).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for command in [
        &["mlehash"][..],
        &["element", "show"],
        &["list", "show"],
        &["policy", "show"],
        &["acm"],
    ] {
        let kinds = [
            ("text", "a text"),
            ("json", "JSON"),
            ("xz", "compressed with xz"),
            ("zip", "a ZIP archive"),
            ("empty", "an empty file"),
        ];
        for (name, words) in kinds {
            let stderr = refused(command, name);
            assert!(
                stderr.contains("looks like") && stderr.contains(words),
                "{command:?} {name}: {stderr}"
            );
        }
        let stderr = refused(command, ".");
        assert!(stderr.contains("is a directory"), "{command:?}: {stderr}");
    }
    assert!(refused(&["acm"], "zip").contains("unpack it"));
    assert!(refused(&["policy", "show"], "elf").contains("an ELF file"));
}

#[test]
fn a_closed_pipe_is_quiet_under_every_name() {
    let image =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mlehash/one-seg.elf.gz");
    let image = image.to_str().unwrap();
    for (name, arguments) in [
        ("lcp", vec!["mlehash", image]),
        ("lcp", vec!["--help"]),
        ("lcp2_mlehash", vec!["--create", "--alg", "sha256", image]),
        ("lcp2_crtpolelt", vec!["--help"]),
        ("lcp2_crtpollist", vec!["--help"]),
        ("lcp2_crtpol", vec!["--help"]),
        ("lcp_mlehash", vec![image]),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = lcp()
            .arg0(name)
            .args(&arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        // 101 and a signal are what a panic ends with.
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "{name} {arguments:?}: {output:?}"
        );
        assert!(
            !stderr.contains("panicked"),
            "{name} {arguments:?}: {stderr}"
        );
    }
}
