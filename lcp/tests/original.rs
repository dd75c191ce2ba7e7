//! The recorded command lines of the original tools, run with this program under their names:
//! files, standard output and exit code are the same, or differ in a way that is listed here.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod recorded;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use recorded::{Case, Step};

/// Where ours differs: case, step from 1, and our exit code. Each stands in
/// docs/man/lcp-compat.7; what follows in the same case follows from it.
struct Difference {
    case: &'static str,
    step: usize,
    rc: i32,
}

const fn differs(case: &'static str, step: usize, rc: i32) -> Difference {
    Difference { case, step, rc }
}

const DIFFERENCES: &[Difference] = &[
    // Malformed files are refused, not read beyond their end or shown as nothing.
    differs("elt/show-mle2-numhash-lie", 1, 0), // head's exit code
    differs("list/mal-eltsize0", 1, 1),
    differs("list/mal-ver9", 1, 1),
    differs("pol/neg-show-extra", 1, 1),
    // The hash files' parser knows sha512 and sm3, as the original's help promises.
    differs("elt/neg-mle2-sha512", 1, 0),
    differs("elt/neg-mle2-sm3", 1, 0),
    differs("elt/neg-stm-sha512", 1, 0),
    differs("elt/neg-stm-sm3", 1, 0),
    // A wrong sequence is not fatal: policy and data are told apart by their contents.
    differs("pol/list-2.4-unsigned", 3, 0),
    // Eight lists can be shown, a ninth is refused.
    differs("pol/list-3.0-nine", 1, 1),
    // Numbers that don't fit are refused.
    differs("pol/any-maxsinit-300", 1, 1),
    differs("pol/any-rev-9", 1, 1),
    // PCR 7 is part of the digest.
    differs("elt/pconf2-sha256-7", 1, 0),
    differs("elt/pconf2-sha256-0-7", 1, 0),
    // No digit is no hash.
    differs("elt/neg-pconf2-nothex", 1, 1),
    // Elliptic curve lists: shown, verified and taken into policies.
    differs("sign/v200-p256-ecdsa", 4, 0),
    differs("sign/v300-p256-ecdsa", 5, 0),
    differs("sign/v300-p384-ecdsa", 5, 0),
    differs("sign/v300-p384-ecdsa-hash256", 5, 0),
    differs("pol/list-3.0-ecdsa-p256", 1, 0),
    differs("pol/list-3.0-ecdsa-p384", 1, 0),
    differs("pol/list-3.2-ecdsa-p384", 1, 0),
    // Curves and exponents that SINIT doesn't take are refused.
    differs("sign/v300-k256-ecdsa", 3, 1),
    differs("sign/v300-rsa2048e3-pss", 3, 1),
    // --nosig and --addsig work.
    differs("sign/v200-nosig-addsig", 2, 0),
    differs("sign/v200-nosig-addsig", 5, 0),
    // A 1024 bit list of version 1.0 verifies.
    differs("sign/v100-rsa1024", 4, 0),
    // A bad signature is exit code 1.
    differs("sign/v300-tampered", 4, 1),
    differs("sign/v300-tampered", 5, 1),
    differs("pol/list-3.0-ecdsa-k256", 1, 1),
];

/// Commands that need the original's numbers: with --compat they are its bytes.
fn needs_compat(name: &str) -> bool {
    name.starts_with("elt/pconf-")
}

/// A folder with links to this program and a case's files.
fn prepare(case: &Case) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, hex) in &case.input {
        fs::write(folder.path().join(name), hex::decode(hex).unwrap()).unwrap();
    }
    folder
}

fn run(folder: &Path, tools: &Path, step: &Step, compat: bool) -> (i32, String, String) {
    let mut line = step.cmd.clone();
    if compat {
        line = line.replacen("lcp2_crtpolelt ", "lcp2_crtpolelt --compat ", 1);
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What of the files can't be the same: signatures with fresh randomness.
fn random_signature(case: &Case) -> bool {
    case.steps.iter().any(|step| {
        step.cmd.contains("--sign ") && (step.cmd.contains("pss") || step.cmd.contains("ecdsa"))
    })
}

#[test]
fn recorded_command_lines_give_the_same_files_output_and_exit_codes() {
    let tools = tempfile::tempdir().unwrap();
    for name in ["lcp2_crtpolelt", "lcp2_crtpollist", "lcp2_crtpol"] {
        symlink(env!("CARGO_BIN_EXE_lcp"), tools.path().join(name)).unwrap();
    }
    let (mut steps, mut files, mut different) = (0, 0, 0);
    let mut wrong = Vec::new();
    for group in ["elt", "hashfile", "list", "sign", "pol"] {
        for case in recorded::group(group) {
            let name = format!("{group}/{}", case.name);
            let folder = prepare(&case);
            let mut diverged = false;
            for (index, step) in case.steps.iter().enumerate() {
                let (rc, stdout, stderr) =
                    run(folder.path(), tools.path(), step, needs_compat(&name));
                let known = DIFFERENCES
                    .iter()
                    .find(|known| known.case == name && known.step == index + 1);
                diverged |= known.is_some();
                steps += 1;
                let expected = known.map_or(step.rc, |known| known.rc);
                // What follows a difference in the same case follows from it.
                if rc != expected && !(diverged && known.is_none()) {
                    wrong.push(format!(
                        "{name} step {}: exit code {rc}, not {expected}: {}\n{stderr}",
                        index + 1,
                        step.cmd
                    ));
                }
                if known.is_some() {
                    different += 1;
                }
                if rc != 0 && step.rc != 0 {
                    assert!(!stderr.is_empty(), "{name}: a refusal says why");
                    continue;
                }
                if !diverged && step.rc == 0 && step.same == Some(true) && stdout != step.stdout {
                    wrong.push(format!(
                        "{name} step {}: {}\n--- theirs\n{}--- ours\n{stdout}",
                        index + 1,
                        step.cmd,
                        step.stdout
                    ));
                }
            }
            if diverged || random_signature(&case) {
                continue;
            }
            for file in case.output.keys() {
                let ours = fs::read(folder.path().join(file)).unwrap_or_default();
                if hex::encode(&ours) != case.output[file] {
                    wrong.push(format!("{name}: {file} differs: {}", hex::encode(ours)));
                }
                files += 1;
            }
        }
    }
    println!("{steps} steps, {files} files equal, {different} documented differences");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(different, DIFFERENCES.len());
    assert!(steps >= 400 && files >= 100);
}
