//! The manual's examples work as they stand there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::recorded;
fn manual() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/man/lcp.8");
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_of_an_offline_key_works() {
    let manual = manual();
    let (_, rest) = manual.split_once(".\\\" begin example\n").unwrap();
    let (script, _) = rest.split_once(".\\\" end example").unwrap();
    assert!(script.lines().count() > 8);
    let directory = tempfile::tempdir().unwrap();
    let keys = recorded::vectors().join("keys");
    fs::copy(keys.join("rsa3072.pem"), directory.path().join("site.pem")).unwrap();
    fs::copy(
        keys.join("rsa3072.pub.pem"),
        directory.path().join("site.pub.pem"),
    )
    .unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_lcp")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .env("PATH", path)
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let printed = String::from_utf8(output.stdout).unwrap();
    // Both machines print the same digest.
    let digest = printed
        .lines()
        .next()
        .unwrap()
        .strip_prefix("sha256 ")
        .unwrap();
    assert!(
        printed.lines().nth(1).unwrap().ends_with(digest),
        "{printed}"
    );
    assert!(printed.trim_end().ends_with("accepted"), "{printed}");
}

#[test]
fn the_spec_in_the_manual_is_one() {
    let manual = manual();
    let (_, rest) = manual.split_once(".nf\ntpm = ").unwrap();
    let (spec, _) = rest.split_once(".fi").unwrap();
    lcp::spec::Spec::parse(&format!("tpm = {spec}")).unwrap();
}

#[test]
fn every_command_has_its_help_and_stands_in_the_manual() {
    let help = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lcp"))
            .args(words)
            .arg("--help")
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let commands = |text: &str| -> Vec<String> {
        let Some((_, list)) = text.split_once("Commands:\n") else {
            return Vec::new();
        };
        let names = list
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    let manual = manual();
    let mut count = 0;
    for command in commands(&help(&[])) {
        let text = help(&[&command]);
        assert!(manual.contains(&format!("lcp {command}")), "{command}");
        for inner in commands(&text) {
            let text = help(&[&command, &inner]);
            assert!(text.contains("Options:"), "{command} {inner}");
            count += 1;
        }
        count += 1;
    }
    assert!(count >= 20, "{count}");
}
