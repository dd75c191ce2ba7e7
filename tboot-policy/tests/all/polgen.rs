//! The recorded command lines of the original `tb_polgen`, run with this program under its name:
//! files, standard output and exit codes are the same, or differ as docs/man/tb_polgen-compat.7
//! lists it; each of those differences has a test here.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::recorded;
use crate::recorded::{Case, Step};

/// Where ours differs without --compat: case, step from 1, our exit code. What follows in the same
/// case follows from it.
const DIFFERENCES: &[(&str, usize, i32)] = &[
    // An entry without hashes can be removed.
    ("del-hashany-entry", 4, 0),
    // --del takes the entry that names the module, not one for any module.
    ("del-num-hits-any-image", 4, 1),
    // A truncated gzip file is refused.
    ("image-gztrunc", 2, 1),
    // --alg for a policy that has another algorithm is refused.
    ("modify", 3, 1),
    // The UUID of an element is checked.
    ("unwrap-wronguuid", 1, 1),
];

/// Also with --compat: GRUB could not load the file.
const ALWAYS: &[&str] = &["image-gztrunc"];

fn prepare(case: &Case) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, hex) in &case.input {
        fs::write(directory.path().join(name), hex::decode(hex).unwrap()).unwrap();
    }
    directory
}

/// A directory with this program under the original's name.
fn tools() -> tempfile::TempDir {
    let tools = tempfile::tempdir().unwrap();
    symlink(
        env!("CARGO_BIN_EXE_tboot-policy"),
        tools.path().join("tb_polgen"),
    )
    .unwrap();
    tools
}

fn bash(directory: &Path, tools: &Path, line: &str) -> (i32, String, String) {
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", line])
        .current_dir(directory)
        .env("PATH", path)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn run(directory: &Path, tools: &Path, step: &Step, compat: bool) -> (i32, String, String) {
    let line = if compat {
        step.cmd.replace("tb_polgen ", "tb_polgen --compat ")
    } else {
        step.cmd.clone()
    };
    bash(directory, tools, &line)
}

#[test]
fn recorded_command_lines_give_the_same_files_output_and_exit_codes() {
    let tools = tools();
    let (mut steps, mut files, mut different) = (0, 0, 0);
    let mut wrong = Vec::new();
    for compat in [false, true] {
        for case in recorded::cases() {
            let directory = prepare(&case);
            let mut diverged = false;
            for (index, step) in case.steps.iter().enumerate() {
                let (rc, stdout, stderr) = run(directory.path(), tools.path(), step, compat);
                let known = DIFFERENCES.iter().find(|(name, at, _)| {
                    (*name, *at) == (case.name.as_str(), index + 1)
                        && (!compat || ALWAYS.contains(name))
                });
                diverged |= known.is_some();
                different += usize::from(known.is_some() && !compat);
                steps += 1;
                let expected = known.map_or(step.rc, |(_, _, rc)| *rc);
                if rc != expected {
                    wrong.push(format!("{}: {rc}: {}\n{stderr}", case.name, step.cmd));
                }
                if rc != 0 {
                    assert!(!stderr.is_empty(), "{}: a refusal says why", case.name);
                } else if !diverged && step.same == Some(true) && stdout != step.stdout {
                    wrong.push(format!(
                        "{}: {}\n--- theirs\n{}--- ours\n{stdout}",
                        case.name, step.cmd, step.stdout
                    ));
                }
            }
            if diverged {
                continue;
            }
            for (name, hex) in &case.output {
                // A file that was not written differs from what was recorded.
                let ours = fs::read(directory.path().join(name)).unwrap_or_default();
                if hex::encode(&ours) != *hex {
                    wrong.push(format!("{}: {name} is {}", case.name, hex::encode(ours)));
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
    assert!(steps >= 250 && files >= 80);
}

/// Runs the lines; the last one's outcome.
fn lines(directory: &Path, lines: &[&str]) -> (i32, String, String) {
    let tools = tools();
    let mut last = (0, String::new(), String::new());
    for line in lines {
        last = bash(directory, tools.path(), line);
    }
    last
}

#[test]
fn a_new_entry_holds_nothing_of_the_bytes_behind_the_policy() {
    let directory = tempfile::tempdir().unwrap();
    let (rc, _, stderr) = lines(
        directory.path(),
        &[
            "tb_polgen --create --type halt p",
            "printf 'rest of an NV index' >> p",
            "tb_polgen --add --num 1 --pcr 19 --hash any p",
        ],
    );
    assert_eq!(rc, 0);
    assert!(stderr.contains("19 bytes follow the policy"), "{stderr}");
    // The original leaves "rest" in the entry's nv_index, which is hashed into PCR 17.
    let bytes = fs::read(directory.path().join("p")).unwrap();
    assert_eq!(
        hex::encode(bytes),
        "02020b0100000000000000010113000000000000"
    );
}

#[test]
fn a_corrupt_gzip_image_is_refused_where_the_original_crashes() {
    use std::io::Write;
    let directory = tempfile::tempdir().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"initramfs").unwrap();
    let mut gz = encoder.finish().unwrap();
    let at = gz.len() - 8;
    gz[at] ^= 1;
    fs::write(directory.path().join("image"), gz).unwrap();
    let (rc, _, stderr) = lines(
        directory.path(),
        &[
            "tb_polgen --create --type halt p",
            "tb_polgen --add --num 1 --pcr 19 --hash image --image image p",
        ],
    );
    assert_eq!(rc, 1);
    assert!(stderr.contains("damaged"), "{stderr}");
}

#[test]
fn a_policy_comes_out_of_the_element_that_lcp2_crtpolelt_makes() {
    let directory = tempfile::tempdir().unwrap();
    let policy = tboot_policy::vlp::Policy::default_tpm2();
    let element = policy.to_element(tboot_policy::vlp::ElementKind::Custom, 1);
    fs::write(directory.path().join("e"), element.to_bytes().unwrap()).unwrap();
    let (rc, ..) = lines(directory.path(), &["tb_polgen --unwrap --elt e p"]);
    assert_eq!(rc, 0);
    assert_eq!(
        fs::read(directory.path().join("p")).unwrap(),
        policy.to_bytes()
    );
    let (rc, _, stderr) = lines(directory.path(), &["tb_polgen --compat --unwrap --elt e q"]);
    assert_eq!(rc, 1);
    assert!(stderr.contains("expected 3"), "{stderr}");
}

#[test]
fn an_entry_for_any_module_in_front_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let (rc, _, stderr) = lines(
        directory.path(),
        &[
            "tb_polgen --create --type halt p",
            "tb_polgen --add --num any --pcr 19 --hash any p",
            "tb_polgen --add --num 2 --pcr 19 --hash any p",
        ],
    );
    assert_eq!(rc, 0);
    assert!(
        stderr.contains("never comes to the entries for module 2"),
        "{stderr}"
    );
}

#[test]
fn an_entry_behind_one_for_any_module_is_changed_not_added_again() {
    for (compat, entries) in [("", 2), ("--compat", 3)] {
        let directory = tempfile::tempdir().unwrap();
        let add = format!("tb_polgen {compat} --add --num 2 --pcr 20 --hash any p");
        let (rc, ..) = lines(
            directory.path(),
            &[
                "tb_polgen --create --type halt p",
                "tb_polgen --add --num any --pcr 19 --hash any p",
                "tb_polgen --add --num 2 --pcr 19 --hash any p",
                &add,
            ],
        );
        assert_eq!(rc, 0);
        // The original never finds it, and adds a third entry.
        assert_eq!(fs::read(directory.path().join("p")).unwrap()[11], entries);
    }
}

#[test]
fn a_negative_position_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (rc, _, stderr) = lines(
        directory.path(),
        &[
            "tb_polgen --create --type halt p",
            "touch image; tb_polgen --add --num 0 --pcr 19 --hash image --image image p",
            "tb_polgen --compat --del --num 0 --pos -1 p",
        ],
    );
    assert_eq!(rc, 1);
    assert!(stderr.contains("--pos -1: expected 0 or more"), "{stderr}");
}

#[test]
fn an_element_that_holds_no_policy_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut element = 32u32.to_le_bytes().to_vec();
    element.extend([3, 0, 0, 0, 1, 0, 0, 0]);
    element.extend([0; 20]);
    fs::write(directory.path().join("e"), element).unwrap();
    for compat in ["", "--compat"] {
        let line = format!("tb_polgen {compat} --unwrap --elt e p");
        assert_eq!(lines(directory.path(), &[&line]).0, 1);
        assert!(!directory.path().join("p").exists());
    }
}

#[test]
fn a_kill_in_between_leaves_no_half_policy() {
    // Written beside, then renamed: a directory that cannot be written leaves the file as it was.
    let directory = tempfile::tempdir().unwrap();
    let (rc, _, stderr) = lines(
        directory.path(),
        &["tb_polgen --create --type halt no/such/p"],
    );
    assert_eq!(rc, 1);
    assert!(stderr.contains("no/such/p"), "{stderr}");
}
