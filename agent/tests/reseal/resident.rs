//! Through the resident agent.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
};

use agent::reseal::{MeasuredFile, Question, Reply, SealRequest, ask};
use agent::unlock::expected_pcrs;
use serde_json::{Value, json};

use crate::{
    common::{Machine, pcrs, said},
    enroll_support::{command, refusal, taoboot},
};

#[test]
fn a_new_kernel_is_approved_without_a_passphrase_and_the_old_one_still_opens() {
    let mut machine = Machine::up();
    let (id, keyslots) = (machine.secret_id(), machine.keyslots());
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "old", false)
    ]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = said(&output);
    assert!(text.contains("1: Linux new: sealed, record 1"), "{text}");
    assert!(text.contains("2: Linux old: record 0 is for it"), "{text}");
    assert_eq!(machine.keyslots(), keyslots, "the keyslot is shared");
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id, "the Tao host keeps its keys");
    machine.reboot("old");
    assert_eq!(machine.secret_id(), id);
    machine.reboot("another");
    assert!(!machine.opens());
}

#[test]
fn an_entry_of_another_script_is_sealed_to_only_when_it_is_named() {
    let machine = Machine::up();
    let mut foreign = machine.entry("1", "foreign", true);
    foreign["id"] = json!("tboot-simple");
    let menu = json!([machine.entry("0", "own", false), foreign]);
    assert!(machine.reseal(&menu, &[]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
    let only_foreign = json!([menu[1]]);
    let sentence = refusal(&machine.reseal(&only_foreign, &[]));
    assert!(sentence.contains("--entry"), "{sentence}");
    let output = machine.reseal(&menu, &["--entry", "tboot-simple"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

/// Whoever writes to /boot writes grubenv, too.
#[test]
fn an_entry_that_takes_words_from_grubenv_is_sealed_to_only_when_it_is_named() {
    let machine = Machine::up();
    let mut entry = machine.entry("1", "new", true);
    entry["environment"] = json!("line 7: $kernelopts depends on GRUB's environment block");
    let menu = json!([entry]);
    let sentence = refusal(&machine.reseal(&menu, &[]));
    assert!(
        sentence.contains("line 7: $kernelopts") && sentence.contains("--entry"),
        "{sentence}"
    );
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    let output = machine.reseal(&menu, &["--entry", "1"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn resealing_twice_adds_nothing() {
    let machine = Machine::up();
    let menu = json!([machine.entry("1", "new", true)]);
    for _ in 0..2 {
        let output = machine.reseal(&menu, &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["entries"][0]["record"], 1, "{answer}");
    }
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
}

#[test]
fn the_new_record_has_the_words_of_the_prediction_and_both_secrets() {
    let mut machine = Machine::up();
    let (before, _) = crate::enroll_support::unsealed(&machine.volume, &machine.swtpm).unwrap();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    machine.reboot("new");
    let (after, record) = crate::enroll_support::unsealed(&machine.volume, &machine.swtpm).unwrap();
    assert_eq!(before.to_bytes(), after.to_bytes());
    assert_eq!(record.label(), "Linux new");
    let words: Vec<_> = record.components().values().collect();
    assert_eq!(words, ["/boot/vmlinuz"]);
}

#[test]
fn files_that_are_not_the_predicted_ones_in_boot_are_refused() {
    let machine = Machine::up();
    let outside = machine.volume.folder.path().join("outside");
    fs::write(&outside, b"kernel").unwrap();
    let outside = fs::canonicalize(outside).unwrap();
    let vmlinuz = machine.boot.join("vmlinuz");
    for (files, words) in [
        (json!([machine.file(&outside, b"kernel")]), "not a file in"),
        (json!([machine.file(&vmlinuz, b"other")]), "was changed"),
        (json!([]), "1 to 64 files"),
    ] {
        let mut entry = machine.entry("1", "new", true);
        entry["files"] = files;
        let output = machine.reseal(&json!([entry]), &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(words), "{output:?}");
    }
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
}

#[test]
fn another_user_is_refused() {
    let machine = Machine::enrolled(&[]);
    machine.serve(nix::unistd::getuid().as_raw() + 1);
    let output = machine.reseal(&json!([machine.entry("1", "new", true)]), &[]);
    let sentence = refusal(&output);
    assert!(sentence.contains("only root"), "{sentence}");
}

#[test]
fn without_a_resident_agent_the_way_out_is_named() {
    let machine = Machine::enrolled(&[]);
    let output = machine.reseal(&json!([machine.entry("1", "new", true)]), &[]);
    let sentence = refusal(&output);
    assert!(sentence.contains("no resident agent"), "{sentence}");
    assert!(sentence.contains("--recovery-key"), "{sentence}");
}

#[test]
fn a_record_of_another_secret_is_no_pattern() {
    let machine = Machine::up();
    let other = Machine::enrolled(&[]);
    let text = json!({ "sha256": pcrs("new") }).to_string();
    let question = Question::Seal(Box::new(SealRequest {
        pattern: other.volume.record().record().to_token().unwrap(),
        pcrs: expected_pcrs::parse(&text).unwrap(),
        limit: None,
        label: String::new(),
        components: Default::default(),
        created: 0,
        files: vec![MeasuredFile {
            path: machine.boot.join("vmlinuz").to_str().unwrap().into(),
            sha256: "00".repeat(32),
        }],
    }));
    let error = ask(&machine.socket, &question).unwrap_err().to_string();
    assert!(error.contains("not one of the secret"), "{error}");
    // Nor is one whose swap partition was changed to something to be overwritten.
    let Question::Seal(mut request) = question else {
        panic!("it is one")
    };
    request.pattern = machine.volume.record().record().to_token().unwrap();
    request.pattern["swap"] = json!("/dev/sda1");
    let error = ask(&machine.socket, &Question::Seal(request)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("not one of the secret") || error.contains("damaged"),
        "{error}"
    );
}

#[test]
fn a_launch_that_is_none_is_not_sealed_for() {
    let machine = Machine::up();
    let mut entry = machine.entry("1", "new", true);
    entry["prediction"]["pcrs"]["sha256"]["18"] = json!("ff".repeat(32));
    let output = machine.reseal(&json!([entry]), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("without a measured launch"));
}

#[test]
fn garbage_and_endless_requests_harm_nobody_else() {
    let machine = Machine::up();
    for garbage in [
        b"\n".to_vec(),
        b"{}\n".to_vec(),
        b"{\"seal\":{}}\n".to_vec(),
        vec![b'x'; 1 << 20],
        Vec::new(),
        b"\"which\"".to_vec(),
    ] {
        let mut stream = UnixStream::connect(&machine.socket).unwrap();
        // The service may have hung up already.
        drop(stream.write_all(&garbage));
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).ok();
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.is_empty() || reply.contains("refused"), "{reply}");
    }
    let reply = ask(&machine.socket, &Question::Which).unwrap();
    assert!(matches!(reply, Reply::Holds(id) if id == machine.secret_id()));
}

#[test]
fn the_socket_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::up();
    let mode = fs::metadata(&machine.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn stale_records_are_pruned_but_never_the_running_or_a_bootable_one() {
    let mut machine = Machine::up();
    for kernel in ["a", "b", "c"] {
        let menu = json!([machine.entry("1", kernel, true)]);
        assert!(machine.reseal(&menu, &[]).status.success());
    }
    // "old" runs, "c" is in the menu; of "a" and "b" one is kept.
    let menu = json!([machine.entry("1", "c", true)]);
    let output = machine.reseal(&menu, &["--keep", "1", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["pruned"].as_array().unwrap().len(), 1, "{answer}");
    for (kernel, opens) in [("c", true), ("old", true)] {
        machine.reboot(kernel);
        assert_eq!(machine.opens(), opens, "{kernel}");
    }
    let output = machine.reseal(&menu, &["--keep", "0"]);
    assert!(output.status.success(), "{output:?}");
    for (kernel, opens) in [("a", false), ("b", false), ("c", true), ("old", true)] {
        machine.reboot(kernel);
        assert_eq!(machine.opens(), opens, "{kernel}");
    }
}

#[test]
fn a_full_header_is_named_with_the_way_out_and_pruning_makes_room() {
    let machine = Machine::up();
    let full = (0..32).find_map(|number| {
        let menu = json!([machine.entry("1", &format!("kernel {number}"), true)]);
        let output = machine.reseal(&menu, &[]);
        (!output.status.success()).then_some((menu, output))
    });
    let (menu, output) = full.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("no room for another record"), "{text}");
    assert!(text.contains("--keep 0"), "{text}");
    // The old ones go, and then it fits.
    assert_eq!(
        machine.reseal(&menu, &["--keep", "0"]).status.code(),
        Some(1)
    );
    assert!(machine.reseal(&menu, &[]).status.success());
    assert!(
        machine.opens(),
        "the running launch's record is never pruned"
    );
}

#[test]
fn nothing_is_pruned_while_an_entry_cannot_be_predicted() {
    let machine = Machine::up();
    let menu = json!([machine.entry("1", "a", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let unknown = json!([
        machine.entry("1", "b", true),
        { "entry": "2: x", "id": "taoboot-x", "tboot": true, "error": "the file is missing" },
    ]);
    let output = machine.reseal(&unknown, &["--keep", "0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("no record is removed"), "{text}");
    assert!(text.contains("the file is missing"), "{text}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

/// `taoboot reseal | head`: what is printed is nobody's business any more, what is sealed is.
#[test]
fn a_closed_pipe_stops_no_sealing() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "newer", false)
    ]);
    let file = machine.boot.join("closed.json");
    fs::write(&file, menu.to_string()).unwrap();
    let tcti = machine.swtpm.tcti();
    let words = [
        "--predictions",
        file.to_str().unwrap(),
        "--tcti",
        &tcti,
        "--socket",
        machine.socket.to_str().unwrap(),
    ];
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command("reseal", &machine.volume.image, &words)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

#[test]
fn files_of_another_kind_are_called_what_they_are() {
    let machine = Machine::up();
    let tcti = machine.swtpm.tcti();
    for (bytes, words) in [
        (b"\x7fELF\x02\x01\xff\xfe".as_slice(), "an ELF file"),
        (b"", "an empty file"),
    ] {
        let file = machine.boot.join("other");
        fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        for words_of in [
            ["check-next-boot", "--predictions", file],
            ["status", "--expect", file],
        ] {
            let [verb, option, file] = words_of;
            let more = match verb {
                "status" => vec![option, file],
                _ => vec![option, file, "--tcti", &tcti],
            };
            let sentence = refusal(&taoboot(verb, &machine.volume, &more));
            assert!(
                sentence.contains("looks like") && sentence.contains(words),
                "{verb}: {sentence}"
            );
        }
    }
}
