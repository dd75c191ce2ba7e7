//! What the resident agent refuses to seal for, and whom it refuses.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use agent::reseal::{Measure, Question, Reply, SealRequest, ask};
use serde_json::json;

use crate::{
    enroll_support::refusal,
    reseal::{
        common::{KERNEL_WORDS, Machine, extends, pcrs, said},
        resident::{request, sha256_values},
    },
};

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
    // The kernel itself would put whatever image is there in the place of the approved memory.
    refused(
        &|r| {
            r.events[6].measured = Measure::Module {
                file: 1,
                cmdline: format!("{KERNEL_WORDS} resume=/dev/sda5"),
            }
        },
        "before /init runs",
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
fn another_user_is_refused() {
    let machine = Machine::enrolled(&[]);
    machine.serve(nix::unistd::getuid().as_raw() + 1);
    let output = machine.reseal(&json!([machine.entry("1", "new", true)]), &[]);
    let sentence = refusal(&output);
    assert!(sentence.contains("only root"), "{sentence}");
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
