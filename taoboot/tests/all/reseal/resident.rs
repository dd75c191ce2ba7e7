//! Through the resident agent.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
};

use agent::reseal::{LaunchEvent, Measure, MeasuredFile, Question, Reply, SealRequest, ask};
use serde_json::{Value, json};
use tpm::{Bank, PcrIndex, PcrValues, pcr_text};

use crate::{
    enroll_support::{command, refusal, taoboot},
    reseal::common::{KERNEL_WORDS, Machine, TBOOT_WORDS, extends, pcrs, plain, said},
};

fn sha256_values(text: &str) -> PcrValues {
    pcr_text::of_bank(text, Bank::Sha256).unwrap()
}

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
    // An id says nothing of who wrote the entry.
    for script in [json!(null), json!("/etc/grub.d/30_os-prober")] {
        let mut forged = machine.entry("1", "forged", true);
        forged["script"] = script;
        let sentence = refusal(&machine.reseal(&json!([forged]), &[]));
        assert!(sentence.contains("--entry"), "{sentence}");
        // Nor does it keep the script's own entry from being found.
        let mut own = machine.entry("0", "own", false);
        own["id"] = forged["id"].clone();
        let menu = json!([forged, own]);
        let output = machine.reseal(&menu, &["--entry", "taoboot-forged", "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["entries"][0]["entry"], "0: Linux own", "{answer}");
        let mut twin = forged.clone();
        twin["place"] = json!("2");
        let menu = json!([forged, twin]);
        let sentence = refusal(&machine.reseal(&menu, &["--entry", "taoboot-forged"]));
        assert!(sentence.contains("by its place"), "{sentence}");
    }
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

/// Everything that a request for a launch has.
fn request(machine: &Machine, kernel: &str) -> SealRequest {
    let entry = machine.entry("1", kernel, true);
    let files: Vec<MeasuredFile> = entry["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| MeasuredFile {
            path: file["path"].as_str().unwrap().into(),
            sha256: file["sha256"].as_str().unwrap().into(),
            stands_at: None,
        })
        .collect();
    let events = extends(kernel)
        .into_iter()
        .map(|(pcr, name, digest)| LaunchEvent {
            pcr: PcrIndex::try_from(pcr).unwrap(),
            measured: match name {
                "MLE_HASH" => Measure::Tboot {
                    file: 0,
                    cmdline: TBOOT_WORDS.into(),
                },
                "module 0" => Measure::Module {
                    file: 1,
                    cmdline: KERNEL_WORDS.into(),
                },
                "module 1" => Measure::Module {
                    file: 2,
                    cmdline: String::new(),
                },
                other => Measure::Platform {
                    name: other.into(),
                    sha256: hex::encode(digest),
                },
            },
        });
    let text = json!({ "sha256": pcrs(kernel) }).to_string();
    SealRequest {
        pattern: machine.volume.record().record().to_token().unwrap(),
        pcrs: sha256_values(&text),
        limit: None,
        label: String::new(),
        components: Default::default(),
        created: 0,
        files,
        events: events.collect(),
    }
}

#[test]
fn pcr_values_that_do_not_follow_from_the_files_are_refused() {
    let machine = Machine::up();
    let good = request(&machine, "new");
    let reply = ask(&machine.socket, &Question::Seal(Box::new(good.clone()))).unwrap();
    assert!(matches!(reply, Reply::Record(_)));
    let refused = |change: &dyn Fn(&mut SealRequest), words: &str| {
        let mut request = good.clone();
        change(&mut request);
        let error = ask(&machine.socket, &Question::Seal(Box::new(request)));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    // The values of another kernel; what an evil one would have.
    let other = json!({ "sha256": pcrs("evil") }).to_string();
    refused(
        &|r| r.pcrs = sha256_values(&other),
        "PCR 17 does not follow from the files",
    );
    // Its digest as something that only the platform knows.
    let evil = extends("evil")[5].2;
    refused(
        &|r| {
            for event in &mut r.events {
                if matches!(&event.measured, Measure::Module { file: 1, .. }) {
                    event.measured = Measure::Platform {
                        name: "HASH_START".into(),
                        sha256: hex::encode(evil),
                    };
                }
            }
            r.pcrs = sha256_values(&other);
        },
        "no tboot or no kernel",
    );
    refused(
        &|r| {
            r.events[7].measured = Measure::Platform {
                name: "initramfs".into(),
                sha256: "00".repeat(32),
            }
        },
        "only files are measured into PCR 19",
    );
    // Another command line; a file that nothing measures; nothing at all.
    refused(
        &|r| {
            r.events[6].measured = Measure::Module {
                file: 1,
                cmdline: format!("{KERNEL_WORDS} rd.break"),
            }
        },
        "PCR 18 does not follow",
    );
    refused(&|r| drop(r.events.pop()), "is loaded but not measured");
    refused(&|r| r.events.clear(), "1 to 64 events");
    refused(
        &|r| {
            r.events[1].measured = Measure::Tboot {
                file: 1,
                cmdline: String::new(),
            }
        },
        "not a tboot image",
    );
    refused(
        &|r| {
            r.events[1].measured = Measure::Tboot {
                file: 9,
                cmdline: String::new(),
            }
        },
        "does not name",
    );
    refused(
        &|r| {
            let value = vec![1; 32];
            r.pcrs.insert(14.try_into().unwrap(), value).unwrap();
        },
        "PCR 14 is not a register of a launch",
    );
}

#[test]
fn files_that_are_not_the_known_ones_in_boot_are_refused_by_the_resident_agent_itself() {
    let machine = Machine::up();
    let good = request(&machine, "new");
    let vmlinuz = machine.boot.join("vmlinuz-new");
    let refused = |change: &dyn Fn(&mut SealRequest), words: &str| {
        let mut request = good.clone();
        change(&mut request);
        let error = ask(&machine.socket, &Question::Seal(Box::new(request)));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    let outside = machine.root.join("outside");
    fs::write(&outside, b"new").unwrap();
    let outside = outside.to_str().unwrap();
    refused(&|r| r.files[1].path = outside.into(), "not a file in");
    refused(&|r| r.files[1].sha256 = "00".repeat(32), "was changed");
    refused(&|r| r.files.clear(), "1 to 64 files");
    // The same content at a path where it is not known.
    let planted = machine.boot.join("planted");
    fs::write(&planted, b"new").unwrap();
    let planted = planted.to_str().unwrap();
    refused(&|r| r.files[1].path = planted.into(), "is not known");
    // A new image lies beside the place where it will stand.
    let mut beside = good.clone();
    beside.files[1].path = planted.into();
    beside.files[1].stands_at = Some(vmlinuz.to_str().unwrap().into());
    let reply = ask(&machine.socket, &Question::Seal(Box::new(beside))).unwrap();
    assert!(matches!(reply, Reply::Record(_)));
    // A link to the known content, and a known file that was exchanged together with the request.
    fs::rename(&vmlinuz, machine.root.join("moved")).unwrap();
    std::os::unix::fs::symlink(machine.root.join("moved"), &vmlinuz).unwrap();
    refused(&|_| (), "not a file in");
    fs::remove_file(&vmlinuz).unwrap();
    fs::write(&vmlinuz, b"evil").unwrap();
    use sha2::{Digest, Sha256};
    refused(
        &|r| r.files[1].sha256 = hex::encode(Sha256::digest(b"evil")),
        "is not known",
    );
}

#[test]
fn an_entry_with_an_unknown_file_gets_no_record_and_the_others_do() {
    let machine = Machine::up();
    fs::write(machine.boot.join("vmlinuz-planted"), "planted").unwrap();
    let menu = json!([
        machine.entry("0", "new", true),
        machine.entry_as_it_lies_there("1", "planted", false)
    ]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("0: Linux new: sealed"), "{text}");
    assert!(
        text.contains("/boot/vmlinuz-planted is not known"),
        "{text}"
    );
    assert!(
        text.contains("taoboot trust /boot/vmlinuz-planted"),
        "{text}"
    );
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
    let output = machine.reseal(&menu, &["--skip-unknown"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // Named with the digest of another file, and with its own.
    let path = machine.boot.join("vmlinuz-planted");
    let (path, root) = (path.to_str().unwrap(), machine.root.to_str().unwrap());
    let trust = |digest: &str| plain(&["trust", path, "--sha256", digest, "--root", root]);
    let refused = trust(&"00".repeat(32));
    assert!(refusal(&refused).contains("another file"), "{refused:?}");
    let digest = menu[1]["files"][1]["sha256"].as_str().unwrap();
    assert!(trust(digest).status.success());
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

#[test]
fn what_was_taken_out_of_boot_is_not_known_when_somebody_puts_it_back() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "retired", true)]);
    let kernel = machine.boot.join("vmlinuz-retired");
    let settle = || {
        let root = machine.root.to_str().unwrap();
        let settled = plain(&["trust", "--settle", "--root", root]);
        assert!(settled.status.success(), "{settled:?}");
    };
    settle();
    fs::remove_file(&kernel).unwrap();
    settle();
    fs::write(&kernel, "retired").unwrap();
    settle();
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("/boot/vmlinuz-retired is not known"),
        "{output:?}"
    );
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    // A /boot that is not mounted takes nothing away.
    let elsewhere = machine.root.join("elsewhere");
    fs::rename(&machine.boot, &elsewhere).unwrap();
    settle();
    fs::rename(&elsewhere, &machine.boot).unwrap();
    let menu = json!([machine.entry("0", "new", true)]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_forged_newest_record_is_no_pattern_and_blocks_nothing() {
    let mut machine = Machine::up();
    let id = machine.secret_id();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let mut forged = machine.volume.token(agent::unlock::TokenId(1));
    forged["label"] = json!("changed");
    forged["created"] = json!(4_000_000_000u64);
    machine
        .volume
        .replace_token(agent::unlock::TokenId(1), &forged);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("sealed, record 2"), "{output:?}");
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id);
}

#[test]
fn what_a_failed_run_sealed_for_is_taken_back() {
    let mut machine = Machine::up();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &["--pending"]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
    // The menu that stayed in place has the old kernel only.
    let stayed = json!([machine.entry("1", "old", true)]);
    for _ in 0..2 {
        let output = machine.reseal(&stayed, &["--take-back"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    }
    assert!(machine.opens());
    machine.reboot("new");
    assert!(!machine.opens());
    machine.reboot("old");
    // What was put into place before the run was killed is kept, and so is what others made.
    assert!(machine.reseal(&menu, &["--pending"]).status.success());
    let other = json!([machine.entry("1", "other", true)]);
    assert!(machine.reseal(&other, &[]).status.success());
    assert!(machine.reseal(&menu, &["--take-back"]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
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
    let question = Question::Seal(Box::new(SealRequest {
        pattern: other.volume.record().record().to_token().unwrap(),
        ..request(&machine, "new")
    }));
    let error = ask(&machine.socket, &question).unwrap_err().to_string();
    assert!(error.contains("does not belong to the secret"), "{error}");
    // Nor is one whose swap partition was changed to something to be overwritten.
    let Question::Seal(mut request) = question else {
        panic!("it is one")
    };
    request.pattern = machine.volume.record().record().to_token().unwrap();
    request.pattern["swap"] = json!("/dev/sda1");
    let error = ask(&machine.socket, &Question::Seal(request)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("does not belong to the secret") || error.contains("damaged"),
        "{error}"
    );
}

#[test]
fn a_launch_that_is_none_is_not_sealed_for() {
    let machine = Machine::up();
    let mut entry = machine.entry("1", "new", true);
    entry["prediction"]["pcrs"]["sha256"]["18"] = json!("fe".repeat(32));
    let output = machine.reseal(&json!([entry]), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("do not lead to its predicted PCR values"),
        "{output:?}"
    );
}

#[test]
fn a_launch_that_left_the_bank_alone_is_not_sealed_for() {
    let machine = Machine::up();
    let mut entry = machine.entry("1", "new", true);
    entry["prediction"]["pcrs"]["sha256"]["19"] = json!("00".repeat(32));
    let output = machine.reseal(&json!([entry]), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("nothing into PCR 19"), "{output:?}");
    let output = machine.run("check-next-boot", &json!([entry]), &[]);
    assert_ne!(output.status.code(), Some(0), "{output:?}");
    // The resident agent does not rely on its client.
    let text = json!({ "sha256": entry["prediction"]["pcrs"]["sha256"] }).to_string();
    let mut request = request(&machine, "new");
    request.pcrs = sha256_values(&text);
    let question = Question::Seal(Box::new(request));
    let error = ask(&machine.socket, &question).unwrap_err().to_string();
    assert!(error.contains("nothing into PCR 19"), "{error}");
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
fn a_full_header_is_pruned_before_sealing_and_what_fits_is_said() {
    let machine = Machine::up();
    // Far more than fit, of which the menu has one at a time: each gets its record.
    for number in 0..12 {
        let menu = json!([machine.entry("1", &format!("kernel {number}"), true)]);
        let output = machine.reseal(&menu, &[]);
        assert!(output.status.success(), "{output:?}");
    }
    // Two tboots with six kernels: the default entry comes first, and what fits is said.
    let mut menu: Vec<Value> = (0..12)
        .map(|n| machine.entry("1", &format!("other {n}"), n == 11))
        .collect();
    let output = machine.reseal(&json!(menu), &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = answer["entries"].as_array().unwrap();
    let with_record = entries.iter().filter(|e| !e["record"].is_null()).count();
    assert_eq!(entries[0]["id"], "taoboot-other 11");
    assert_eq!(entries[0]["result"], "sealed");
    assert!(with_record >= 5, "{answer}");
    let why = entries.last().unwrap()["why"].as_str().unwrap();
    // One is the running launch's.
    let said = format!(
        "has room for {} records and all are needed",
        with_record + 1
    );
    assert!(why.contains(&said) && why.contains("12 launches"), "{why}");
    // A smaller menu fits.
    menu.truncate(3);
    assert!(machine.reseal(&json!(menu), &[]).status.success());
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
        { "entry": "2: x", "title": "x", "id": "taoboot-x", "script": "/etc/grub.d/20_linux_taoboot", "default": false, "tboot": true, "error": "the file is missing", "files": [] },
    ]);
    let output = machine.reseal(&unknown, &["--keep", "0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("no record is removed"), "{text}");
    assert!(text.contains("the file is missing"), "{text}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

/// `taoboot reseal | head`: the reader of its output is gone, but what was to be sealed is sealed.
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
        "--root",
        machine.root.to_str().unwrap(),
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
