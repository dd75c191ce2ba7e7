//! Event logs in every form: read back as they were written, replayed to the PCRs they lead to,
//! and refused when damaged. A real TXT host's log and another project's are read too, where they
//! are at hand.

use std::{fs, process::Command};

use proptest::prelude::*;
use tboot_policy::{
    log::{
        EventLog, Format, LogError, LogEvent,
        replay::{Agreement, Reading, compare, value},
    },
    platform::BANKS,
};
use tpm::{Bank, PcrIndex, PcrValues};

use crate::written::*;

fn events() -> Vec<LogEvent> {
    log_events(&files("extpol=embedded", None))
}

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

#[test]
fn every_form_is_read_back_as_it_was_written() {
    let all = events();
    let sha1 = only(&all, &[Bank::Sha1]);
    let sha256 = only(&all, &[Bank::Sha256]);
    let serial: String = listing(&sha256, Bank::Sha256)
        .lines()
        .map(|line| format!("[  1.0] TBOOT: {line}\r\nother noise: 12\r\n"))
        .collect();
    for (bytes, format, expected) in [
        (container(&all), Format::TxtContainer, &sha1),
        (legacy(&all, Bank::Sha1), Format::Sha1Stream, &sha1),
        (legacy(&all, Bank::Sha256), Format::TxtLegacy, &sha256),
        (agile(&all, &BANKS), Format::CryptoAgile, &all),
        (
            listing(&all, Bank::Sha256).into_bytes(),
            Format::Text,
            &sha256,
        ),
        (serial.into_bytes(), Format::Text, &sha256),
        (agile_listing(&all).into_bytes(), Format::Text, &all),
    ] {
        let log = EventLog::parse(&bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!(log.format, format);
        assert_eq!(&log.events, expected, "{format}");
    }
    // The unused rest of a buffer.
    let mut buffer = agile(&all, &BANKS);
    buffer.resize(8192, 0);
    assert_eq!(EventLog::parse(&buffer).unwrap().events, all);
}

#[test]
fn several_listings_of_one_boot_are_one_log() {
    let all = events();
    let (found, added) = all.split_at(15);
    // What SINIT left, then each event that tboot adds, then the whole once more.
    let mut text = listing(found, Bank::Sha1) + &listing(found, Bank::Sha256);
    for event in added {
        text += &printed(event, Bank::Sha1);
        text += &printed(event, Bank::Sha256);
        text += "TBOOT: something else\n";
    }
    let expected = only(&all, &[Bank::Sha1, Bank::Sha256]);
    assert_eq!(EventLog::parse(text.as_bytes()).unwrap().events, expected);
    let again = text + &listing(&all, Bank::Sha1) + &listing(&all, Bank::Sha256);
    assert_eq!(EventLog::parse(again.as_bytes()).unwrap().events, expected);
}

#[test]
fn a_log_replays_to_the_pcrs_of_the_launch() {
    let input = files("extpol=embedded", None);
    let log = EventLog::parse(&agile(&log_events(&input), &BANKS)).unwrap();
    let registers = compare(&log, &pcrs(&input));
    assert_eq!(registers.len(), 9);
    for register in registers {
        let agrees = matches!(register.agreement, Agreement::Agrees(_));
        assert!(
            agrees,
            "{} {}: {:?}",
            register.bank, register.pcr, register.agreement
        );
    }
}

#[test]
fn both_meanings_of_hash_start_are_tried() {
    let log = EventLog::parse(&agile(&events(), &BANKS)).unwrap();
    for reading in Reading::BOTH {
        let mut pcrs = PcrValues::new(Bank::Sha256);
        pcrs.insert(pcr(17), value(&log, Bank::Sha256, 17, reading))
            .unwrap();
        let registers = compare(&log, &[pcrs]);
        let of_17 = registers
            .iter()
            .find(|r| r.bank == Bank::Sha256 && r.pcr == 17)
            .unwrap();
        assert_eq!(of_17.agreement, Agreement::Agrees(reading));
    }
}

#[test]
fn where_log_and_pcr_part_is_said() {
    let log = EventLog::parse(&agile(&events(), &BANKS)).unwrap();
    let agreement = |log: &EventLog, expected: Vec<u8>| {
        let mut pcrs = PcrValues::new(Bank::Sha256);
        pcrs.insert(pcr(17), expected).unwrap();
        let registers = compare(log, &[pcrs]);
        let mut of_17 = registers
            .into_iter()
            .filter(|r| r.bank == Bank::Sha256 && r.pcr == 17);
        of_17.next().unwrap().agreement
    };
    let right = value(&log, Bank::Sha256, 17, Reading::Extended);
    let mut longer = log.clone();
    longer.events.push(log.events[0].clone());
    let last = longer.events.len() - 1;
    assert_eq!(
        agreement(&longer, right.clone()),
        Agreement::After {
            reading: Reading::Extended,
            unseen: vec![last]
        }
    );
    let mut more = log.clone();
    more.events.insert(3, log.events[5].clone());
    assert_eq!(
        agreement(&more, right.clone()),
        Agreement::Without {
            reading: Reading::Extended,
            event: 3
        }
    );
    assert_eq!(agreement(&log, vec![0xff; 32]), Agreement::NotLaunched);
    let mut changed = log.clone();
    changed.events[4].digests.get_mut(&Bank::Sha256).unwrap()[0] ^= 1;
    assert_eq!(agreement(&changed, right), Agreement::Differs);
}

#[test]
fn firmware_logs_start_at_their_locality() {
    let mut events = vec![LogEvent {
        pcr: 0,
        event_type: 3,
        digests: [(Bank::Sha256, vec![0; 32])].into(),
        data: b"StartupLocality\0\x03".to_vec(),
    }];
    events.push(LogEvent {
        pcr: 0,
        event_type: 8,
        digests: [(Bank::Sha256, vec![5; 32])].into(),
        data: b"version".to_vec(),
    });
    let log = EventLog::parse(&agile(&events, &[Bank::Sha256])).unwrap();
    let mut start = vec![0; 32];
    start[31] = 3;
    let alg = txt::hash::HashAlg::Sha256;
    let expected = alg.digest_parts(&[&start, &[5; 32]]);
    assert_eq!(
        value(&log, Bank::Sha256, 0, Reading::Extended),
        expected.as_bytes()
    );
}

#[test]
fn a_log_cut_anywhere_is_refused_or_shorter() {
    let all = events();
    for bytes in [
        container(&all),
        legacy(&all, Bank::Sha256),
        agile(&all, &[Bank::Sha1, Bank::Sha256]),
        listing(&all, Bank::Sha256).into_bytes(),
        agile_listing(&all).into_bytes(),
    ] {
        let whole = EventLog::parse(&bytes).unwrap().events;
        let (mut refused, mut shorter) = (0, 0);
        // Text is long and cheap to cut anywhere: not at every byte of it.
        let step = if bytes.len() > 4000 { 13 } else { 1 };
        for end in (0..bytes.len()).step_by(step) {
            match EventLog::parse(&bytes[..end]) {
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
                Ok(log) => {
                    shorter += 1;
                    let known = log.events.len().min(whole.len());
                    assert!(log.events.len() <= whole.len());
                    // What is there is what was written, except for the last of a text.
                    assert_eq!(
                        log.events[..known.saturating_sub(1)],
                        whole[..known.saturating_sub(1)]
                    );
                }
            }
        }
        assert!(refused > 0 && refused + shorter == bytes.len().div_ceil(step));
    }
}

#[test]
fn fields_that_lie_are_refused() {
    let all = events();
    let with = |mut bytes: Vec<u8>, at: usize, field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        EventLog::parse(&bytes)
    };
    let refused = |outcome: Result<EventLog, LogError>, expected: &str| {
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    };
    refused(
        with(container(&all), 40, &[0, 0, 0, 0]),
        "pcr_events_offset",
    );
    refused(with(container(&all), 44, &[0xff; 4]), "next_event_offset");
    refused(with(container(&all), 48, &[99, 0, 0, 0]), "pcr_index");
    refused(
        with(agile(&all, &BANKS), 56, &[0, 0, 0, 0]),
        "number_of_algorithms",
    );
    refused(
        with(agile(&all, &BANKS), 56, &[0xff; 4]),
        "number_of_algorithms",
    );
    refused(with(agile(&all, &BANKS), 62, &[9, 0]), "digest_size");
    let first = 32 + 28 + 3 * 4 + 1;
    refused(
        with(agile(&all, &BANKS), first + 8, &[200, 0, 0, 0]),
        "digest count",
    );
    refused(
        with(agile(&all, &BANKS), first + 12, &[0x99, 0]),
        "hash_alg",
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        seed in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0..5usize,
        at in any::<prop::sample::Index>(),
    ) {
        let all = events();
        let mut bytes = match kind {
            0 => container(&all),
            1 => legacy(&all, Bank::Sha256),
            2 => agile(&all, &BANKS),
            3 => listing(&all, Bank::Sha256).into_bytes(),
            _ => Vec::new(),
        };
        let at = at.index(bytes.len() + 1);
        let end = (at + seed.len()).min(bytes.len());
        bytes.splice(at..end, seed);
        if let Ok(log) = EventLog::parse(&bytes) {
            compare(&log, &[]);
        }
    }
}

#[test]
fn the_command_shows_and_replays() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let input = files("extpol=embedded", None);
    let all = log_events(&input);
    fs::write(directory.path().join("log"), agile(&all, &BANKS)).unwrap();
    fs::write(directory.path().join("sha1"), legacy(&all, Bank::Sha1)).unwrap();
    fs::write(directory.path().join("sha256"), legacy(&all, Bank::Sha256)).unwrap();
    let (code, stdout, _) = run(&["log", "show", "log"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("PCR 17 HASH_START") && stdout.contains("PCR 18 SINIT_PUBKEY_HASH"));
    let (_, json, _) = run(&["log", "show", "--json", "sha1", "sha256"]);
    fs::write(directory.path().join("json"), json).unwrap();
    let values = pcrs_of(&input, Bank::Sha256);
    let lines: String = (17..=19)
        .map(|n| format!("{n}: 0x{}\n", hex::encode(values.get(pcr(n)).unwrap())))
        .collect();
    fs::write(directory.path().join("pcrs"), &lines).unwrap();
    for log in ["log", "json"] {
        let (code, stdout, stderr) = run(&["log", "replay", "--pcrs", "pcrs", log]);
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert_eq!(stdout.matches("agrees, HASH_START extended").count(), 3);
    }
    let wrong = "17: 0x".to_owned() + &"ab".repeat(32);
    fs::write(directory.path().join("pcrs"), wrong).unwrap();
    let (code, stdout, _) = run(&["log", "replay", "--json", "--pcrs", "pcrs", "log"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let registers = json["registers"].as_array().unwrap();
    assert!(
        registers
            .iter()
            .any(|r| r["pcr"] == 17 && r["bank"] == "sha256" && r["agrees"] == false)
    );
    let (code, _, stderr) = run(&["log", "show", "pcrs"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("not like an event log"), "{stderr}");
}
