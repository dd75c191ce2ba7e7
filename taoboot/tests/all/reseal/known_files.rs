//! Only files that the machine knows are sealed for: those of the list, at their places in /boot.

use std::fs;

use agent::reseal::{Question, Reply, SealRequest, ask};
use serde_json::json;

use crate::{
    enroll_support::{refusal, taoboot},
    reseal::{
        common::{Machine, plain, said},
        resident::request,
    },
};

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
