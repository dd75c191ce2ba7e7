//! The recorded command lines of the original tools, run with this program under their names:
//! files, standard output and exit code are the same, or differ in a way that is listed here.

mod differences;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use differences::DIFFERENCES;

use crate::recorded;
use crate::recorded::{Case, Step};

/// Commands that need the original's numbers: with --compat they are its bytes.
fn needs_compat(name: &str) -> bool {
    name.starts_with("elt/pconf-")
}

/// A directory with links to this program and a case's files.
fn prepare(case: &Case) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, hex) in &case.input {
        fs::write(directory.path().join(name), hex::decode(hex).unwrap()).unwrap();
    }
    directory
}

fn run(directory: &Path, tools: &Path, step: &Step, compat: bool) -> (i32, String, String) {
    let mut line = step.cmd.clone();
    if compat {
        line = line.replacen("lcp2_crtpolelt ", "lcp2_crtpolelt --compat ", 1);
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &line])
        .current_dir(directory)
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

/// Debian's tboot.gz that the recordings used, when the assets hold it.
fn tboot() -> Option<PathBuf> {
    let assets = std::env::var_os("TAOBOOT_ASSETS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets"),
        PathBuf::from,
    );
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let path = PathBuf::from(list.get("tboot")?.as_str()?);
    let digest = txt::hash::HashAlg::Sha256.digest(&fs::read(&path).ok()?);
    digest.to_string().starts_with("678b4ad8").then_some(path)
}

/// What was compared.
#[derive(Default)]
struct Outcome {
    steps: usize,
    files: usize,
    different: usize,
    wrong: Vec<String>,
}

/// Runs a recorded case and compares exit codes, output and files.
fn replay(group: &str, case: &Case, tools: &Path, outcome: &mut Outcome) {
    let name = format!("{group}/{}", case.name);
    let directory = prepare(case);
    if let Some(tboot) = tboot() {
        symlink(tboot, directory.path().join("tboot.gz")).unwrap();
    }
    let mut diverged = false;
    for (index, step) in case.steps.iter().enumerate() {
        let (rc, stdout, stderr) = run(directory.path(), tools, step, needs_compat(&name));
        let known = DIFFERENCES
            .iter()
            .find(|known| known.case == name && known.step == index + 1);
        diverged |= known.is_some();
        outcome.steps += 1;
        let expected = known.map_or(step.rc, |known| known.rc);
        // What follows a difference in the same case follows from it.
        if rc != expected && !(diverged && known.is_none()) {
            let step = format!(
                "step {}: exit code {rc}, not {expected}: {}",
                index + 1,
                step.cmd
            );
            outcome.wrong.push(format!("{name} {step}\n{stderr}"));
        }
        outcome.different += usize::from(known.is_some());
        if rc != 0 && step.rc != 0 {
            assert!(!stderr.is_empty(), "{name}: a refusal says why");
            continue;
        }
        if !diverged && step.rc == 0 && step.same == Some(true) && stdout != step.stdout {
            outcome.wrong.push(format!(
                "{name} step {}: {}\n--- theirs\n{}--- ours\n{stdout}",
                index + 1,
                step.cmd,
                step.stdout
            ));
        }
    }
    if diverged || random_signature(case) {
        return;
    }
    for (file, expected) in &case.output {
        // A file that was not written differs from what was recorded.
        let ours = fs::read(directory.path().join(file)).unwrap_or_default();
        if &hex::encode(&ours) != expected {
            let ours = hex::encode(ours);
            outcome
                .wrong
                .push(format!("{name}: {file} differs: {ours}"));
        }
        outcome.files += 1;
    }
}

/// A directory of links by these names.
fn links(names: &[&str]) -> tempfile::TempDir {
    let tools = tempfile::tempdir().unwrap();
    for name in names {
        symlink(env!("CARGO_BIN_EXE_lcp"), tools.path().join(name)).unwrap();
    }
    tools
}

#[test]
fn recorded_command_lines_give_the_same_files_output_and_exit_codes() {
    let tools = links(&["lcp2_crtpolelt", "lcp2_crtpollist", "lcp2_crtpol"]);
    let mut outcome = Outcome::default();
    for group in ["elt", "hashfile", "list", "sign", "pol"] {
        for case in recorded::group(group) {
            replay(group, &case, tools.path(), &mut outcome);
        }
    }
    let Outcome {
        steps,
        files,
        different,
        wrong,
    } = outcome;
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

#[test]
fn recorded_command_lines_of_the_tpm_1_2_tools_give_the_same() {
    let names = [
        "lcp_mlehash",
        "lcp_crtpolelt",
        "lcp_crtpollist",
        "lcp_crtpol2",
    ];
    let tools = links(&names);
    let mut outcome = Outcome::default();
    for case in recorded::group("old183") {
        // Policies of before 2008 are read, not made.
        let skipped = case.name == "v1-crtpol" || case.name == "mlehash" && tboot().is_none();
        if !skipped {
            replay("old183", &case, tools.path(), &mut outcome);
        }
    }
    let Outcome {
        steps,
        files,
        wrong,
        ..
    } = outcome;
    println!("{steps} steps, {files} files equal");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(steps >= 40 && files >= 25, "{steps} {files}");
}
