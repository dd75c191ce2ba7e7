//! `tboot-policy launch-log`, and what the commands say of files of another kind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/launch-logs")
        .join(name)
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

fn launch_log(name: &str) -> (i32, String) {
    let path = vector(name);
    let (code, stdout, stderr) = run(&["launch-log", path.to_str().unwrap()]);
    assert_eq!(stderr, "");
    (code, stdout)
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn the_text_of_txt_stat_without_a_log_shows_its_registers() {
    let (code, printed) = launch_log("txt-stat-without-log.txt");
    assert_eq!(code, 0);
    contains(
        &printed,
        &[
            "measured launch: yes",
            "TXT.STS 0x10081: SENTER done, private space open, locality 2 open",
            "TXT.ERRORCODE 0x0: no error",
            "TXT.HEAP.SIZE 0xe0000",
            "there is no log of tboot's in this text",
        ],
    );
    // Asked for its events, the sentence says what it is and where a log may be.
    let path = vector("txt-stat-without-log.txt");
    let (code, _, stderr) = run(&["log", "show", path.to_str().unwrap()]);
    assert_eq!(code, 1);
    contains(
        &stderr,
        &[
            "looks like the text of txt-stat",
            "serial port",
            "launch-log",
        ],
    );
}

#[test]
fn why_there_was_no_launch_is_said_first() {
    let (code, printed) = launch_log("serial-wrong-sinit.txt");
    assert_eq!(code, 2);
    contains(
        &printed,
        &[
            "measured launch: no",
            "tboot 1.9.10",
            "because: the launch before failed",
            "because: SENTER was executed and nothing came after it",
            "TXT.ERRORCODE 0xc0007051: the SINIT module gave up: class (progress) 0x05, error 0x1c",
            "speak of the launch before",
            "module 0 \"/first.bin\" (line 10): no SINIT for this platform: it is for another chipset",
            "module 1 \"/second.bin\" (line 16): no SINIT for this platform: it is for another processor",
            "module 2 \"/third.bin\" (line 20): chosen as SINIT",
            "note: there is no policy in the TPM",
        ],
    );
    let (code, printed) = launch_log("serial-no-txt.txt");
    assert_eq!(code, 2);
    contains(
        &printed,
        &[
            "because: none of the modules",
            "because: the processor has no SMX",
        ],
    );
    let (code, printed) = launch_log("serial-processor-error.txt");
    assert_eq!(code, 2);
    contains(
        &printed,
        &[
            "TXT.ERRORCODE 0x80000007: processor error 0x7: the module could not be authenticated",
            "TXT.ESTS 0x1: TXT reset: SENTER is disabled",
            "switch the power off",
        ],
    );
}

#[test]
fn a_launch_is_a_launch() {
    let (code, printed) = launch_log("serial-launched.txt");
    assert_eq!(code, 0);
    contains(
        &printed,
        &[
            "measured launch: yes",
            "no error, the SINIT module ran to its end",
            "allows all modules",
        ],
    );
    assert!(!printed.contains("because:"), "{printed}");
    let path = vector("serial-launched.txt");
    let (_, json, _) = run(&["launch-log", "--json", path.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["launch"]["measured"], true);
    assert_eq!(json["launch"]["registers_are_old"], false);
}

/// A serial port's capture goes on over resets; txt-stat's registers are later than tboot's.
#[test]
fn the_last_boot_counts_and_the_latest_registers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let read = |name: &str| fs::read_to_string(vector(name)).unwrap();
    let show = |text: String| {
        fs::write(&path, text).unwrap();
        let (code, printed, _) = run(&["launch-log", path.to_str().unwrap()]);
        (code, printed)
    };
    let (failed, launched) = (read("serial-wrong-sinit.txt"), read("serial-launched.txt"));
    let banner = "TBOOT:    2019-04-10 11:00 +0200 1.9.10\n";
    let sinit = "TBOOT: checking if module /a.bin is an SINIT for this platform...\n\
        TBOOT: SINIT matches platform\n";
    // Launched, switched off, and failed the next time.
    let (code, printed) = show(format!("{banner}{sinit}{launched}{failed}"));
    assert_eq!(code, 2, "{printed}");
    contains(&printed, &["measured launch: no", "before it: 1"]);
    // Failed, and launched the next time; the launched tboot says its name again.
    let again = launched.replace("TBOOT: Post_launch", &format!("{banner}TBOOT: Post_launch"));
    let (code, printed) = show(format!("{failed}{banner}{sinit}{again}"));
    assert_eq!(code, 0, "{printed}");
    contains(
        &printed,
        &["measured launch: yes", "\"/a.bin\" (line 34): chosen"],
    );
    assert!(!printed.contains("/first.bin"), "{printed}");
    // txt-stat prints its registers above the log.
    let stat = read("txt-stat-without-log.txt").replace("unable to find TBOOT log\n", &failed);
    let (_, printed) = show(stat);
    contains(&printed, &["TXT.ERRORCODE 0x0: no error"]);
    assert!(!printed.contains("speak of the launch before"), "{printed}");
}

#[test]
fn one_code_is_decoded_by_itself() {
    let (code, printed, _) = run(&["launch-log", "--error", "0xc0003cd1"]);
    assert_eq!(code, 0);
    contains(&printed, &["class (progress) 0x0d, error 0xf"]);
    assert_eq!(run(&["launch-log", "--error", "no"]).0, 1);
}

#[test]
fn a_disk_or_a_log_cannot_drive_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let text = "TBOOT: checking if module \x1b[2J\x07 is an SINIT for this platform...\n\
        TBOOT: TXT not supported. \x1b]0;x\x07\u{9b}31m\n";
    fs::write(&path, text).unwrap();
    let (code, printed, _) = run(&["launch-log", path.to_str().unwrap()]);
    assert_eq!(code, 2);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!printed.contains(control), "{printed:?}");
}

/// Each command says what a file looks like that is not what it asks for.
#[test]
fn files_of_another_kind_are_called_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let mut acpi = b"TPM2".to_vec();
    acpi.extend(76u32.to_le_bytes());
    acpi.resize(76, 0);
    let sum = acpi.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    acpi[9] = 0u8.wrapping_sub(sum);
    for (name, bytes) in [
        ("text", b"hello, world\n".as_slice()),
        ("json", b"{\"a\": 1}"),
        ("elf", b"\x7fELF\x02\x01\x01"),
        ("gzip", b"\x1f\x8b\x08\0\0\0"),
        ("xz", b"\xfd7zXZ\0\0"),
        ("zstd", b"\x28\xb5\x2f\xfd\0\0"),
        ("acpi", &acpi),
        ("cpio", b"070701000000"),
        ("empty", b""),
    ] {
        fs::write(path(name), bytes).unwrap();
    }
    let kinds = [
        ("text", "a text"),
        ("elf", "an ELF file"),
        ("gzip", "compressed with gzip"),
        ("xz", "compressed with xz"),
        ("zstd", "compressed with zstd"),
        ("acpi", "the ACPI table TPM2"),
        ("cpio", "a cpio archive"),
        ("empty", "an empty file"),
    ];
    let commands: [&[&str]; 5] = [
        &["log", "show"],
        &["launch-log"],
        &["show"],
        &["log", "replay", "--pcrs"],
        &["predict", "--all", "--platform"],
    ];
    for command in commands {
        for (name, words) in kinds {
            // PCR values are a text, and say themselves what is wrong with one.
            if name == "text" && command.contains(&"--pcrs") {
                continue;
            }
            let log = path("log");
            let file = path(name);
            let mut arguments = [command, &[file.as_str()]].concat();
            if command.contains(&"--pcrs") {
                fs::write(&log, fs::read(log_vector()).unwrap()).unwrap();
                arguments.push(&log);
            }
            let (code, _, stderr) = run(&arguments);
            assert_eq!(code, 1, "{command:?} {name}");
            assert!(
                stderr.contains("looks like") && stderr.contains(words),
                "{command:?} {name}: {stderr}"
            );
        }
        let place = directory.path().to_str().unwrap();
        let log = path("log");
        let mut arguments = [command, &[place]].concat();
        if command.contains(&"--pcrs") {
            arguments.push(&log);
        }
        let (code, _, stderr) = run(&arguments);
        assert!(
            code == 1 && stderr.contains("is a directory"),
            "{command:?}: {stderr}"
        );
    }
}

/// A log in a form that is read.
fn log_vector() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/policy_log_agile");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            let bytes = fs::read(path).unwrap();
            tboot_policy::log::EventLog::parse(&bytes).is_ok()
        })
        .collect();
    files.sort();
    files.remove(0)
}

#[test]
fn a_reason_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut");
    let mut log = fs::read(log_vector()).unwrap();
    log.truncate(80);
    fs::write(&path, &log).unwrap();
    let (code, _, stderr) = run(&["log", "show", path.to_str().unwrap()]);
    assert_eq!(code, 1);
    let reason = stderr.trim_end().rsplit(": ").next().unwrap();
    assert!(stderr.contains("damaged"), "{stderr}");
    assert_eq!(stderr.matches(reason).count(), 1, "{stderr}");
}

/// A reader that has gone (`| head`) is neither an error nor a panic.
#[test]
fn a_closed_pipe_is_quiet() {
    let path = vector("serial-wrong-sinit.txt");
    let log = log_vector();
    let commands: [&[&str]; 4] = [
        &["launch-log", path.to_str().unwrap()],
        &["log", "show", log.to_str().unwrap()],
        &["log", "show", "--json", log.to_str().unwrap()],
        &["--help"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
            .args(command)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.code().is_some_and(|code| code != 101),
            "{output:?}"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }
    // A full disk is an error.
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
        .args(["log", "show", log.to_str().unwrap()])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written"));
}
