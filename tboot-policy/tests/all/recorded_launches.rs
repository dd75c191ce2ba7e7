//! Launches that others recorded: a real TXT host's log and PCRs, and another project's predictor
//! (vectors/real-host and vectors/pcr-openxt, each with a README.md that says where it is from).

use std::{collections::BTreeMap, fs, path::PathBuf};

use launch_model::tboot::{Extending, Registers};
use tboot_policy::{
    extends::{HashedModule, Mapping, TbootRules, tboot_events},
    log::{
        EventLog, Format, LogEvent, event_type,
        replay::{Agreement, Reading, compare, value},
    },
    module::Module,
    vlp::Policy,
};
use tpm::pcr::{Bank, PcrIndex, PcrValues};
use txt::hash::{Digest, HashAlg};

use crate::written::{agile, in_model, log_event};

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

/// A file below `tests/vectors`.
fn recorded(path: &str) -> Vec<u8> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    fs::read(vectors.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn logged(register: u32, event_type: u32, digest: &str) -> LogEvent {
    LogEvent {
        pcr: register,
        event_type,
        digests: BTreeMap::from([(Bank::Sha256, hex::decode(digest).unwrap())]),
        data: Vec::new(),
    }
}

/// Digests of one register out of the verbose output of OpenXT's pcr-calc: "[nn] type: hex...".
fn openxt_log(text: &str) -> Vec<Vec<(u32, String)>> {
    let mut registers: Vec<Vec<(u32, String)>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("log:") {
            registers.push(Vec::new());
        } else if let Some((_, rest)) = line
            .strip_prefix("[")
            .and_then(|rest| rest.split_once("] "))
        {
            let (kind, digest) = rest.split_once(": ").unwrap();
            let kind = u32::from_str_radix(kind.trim(), 16).unwrap();
            if kind != 0 {
                registers
                    .last_mut()
                    .unwrap()
                    .push((kind, digest.replace(' ', "")));
            }
        }
    }
    registers
}

#[test]
fn openxts_predictor_gives_the_same_values() {
    let verbose = recorded("pcr-openxt/da20-sha256/step02.stdout");
    let log = openxt_log(std::str::from_utf8(&verbose).unwrap());
    let result = recorded("pcr-openxt/da20-sha256/step01.stdout");
    let mut events = Vec::new();
    for (register, list) in [17, 18].into_iter().zip(&log) {
        for (kind, digest) in list {
            events.push(logged(register, *kind, digest));
        }
    }
    let replayed = EventLog {
        format: Format::Merged,
        events,
    };
    for (register, line) in [17, 18]
        .into_iter()
        .zip(String::from_utf8(result).unwrap().lines())
    {
        let expected = line.split_once(':').unwrap().1.replace(' ', "");
        // pcr-calc's default reading: the logged HASH_START is PCR 17's value.
        let ours = value(&replayed, Bank::Sha256, register, Reading::Value);
        assert_eq!(hex::encode(ours), expected);
    }
    // The event for the policy is the one that pcr-calc computed of the same file.
    let bytes = recorded("pcr-openxt/da20-sha256/p.pol");
    let policy = Policy::parse(&bytes).unwrap();
    let first_by_tboot = log[0]
        .iter()
        .find(|(kind, _)| *kind == event_type::TBOOT)
        .unwrap();
    assert_eq!(
        policy.measurement(HashAlg::Sha256).to_string(),
        first_by_tboot.1
    );
}

#[test]
fn openxts_module_hash_is_the_same() {
    let bytes = recorded("vlp/vmlinuz");
    let cmdline = "root=/dev/mapper/vg-root ro quiet intel_iommu=on";
    // What `module_hash -a ALGORITHM -c CMDLINE vmlinuz` printed.
    for (alg, cmdline, expected) in [
        (
            HashAlg::Sha256,
            cmdline,
            "251c8c7a2e57d7f04d40efa3ddd2264ae06c5cb216766ead51ed35d8755b60f8",
        ),
        (
            HashAlg::Sha1,
            cmdline,
            "dfc6a82c577807e647ab133e82f57b2381fc8d1a",
        ),
        (
            HashAlg::Sha256,
            "",
            "c34de8303d88bae3de467754c690638ce93bc39fbf911df4c3428e11276c04f2",
        ),
    ] {
        let hash = Module::new("vmlinuz", cmdline, bytes.clone())
            .hash(alg)
            .unwrap();
        assert_eq!(hash.to_string(), expected);
    }
}

#[test]
fn openxts_logs_replay_to_what_openxt_computes() {
    for (log, output, bank) in [
        ("da20-sha256/log", "da20-sha256/step03.stdout", Bank::Sha256),
        ("da20-sha256/log", "da20-sha256/step04.stdout", Bank::Sha1),
        ("lg12-default/log", "lg12-default/step04.stdout", Bank::Sha1),
    ] {
        let bytes = recorded(&format!("pcr-openxt/{log}"));
        let log = EventLog::parse(&bytes).unwrap();
        let expected = recorded(&format!("pcr-openxt/{output}"));
        for line in String::from_utf8(expected).unwrap().lines() {
            let (register, hex) = line.split_once(':').unwrap();
            // pcr-calc takes the logged HASH_START for PCR 17's value.
            let ours = value(&log, bank, register.parse().unwrap(), Reading::Value);
            assert_eq!(
                hex::encode(ours),
                hex.replace(' ', ""),
                "{output} {register}"
            );
        }
    }
}

#[test]
fn a_real_hosts_log_agrees_with_its_pcrs() {
    let record = recorded("real-host/events.json");
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let digest = |name: &str| hex::decode(record["sha256"][name].as_str().unwrap()).unwrap();
    let mut events = Vec::new();
    for (register, order) in [(17, "pcr17_order"), (18, "pcr18_order")] {
        for name in record[order].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let numbers = 0x400..0x41b;
            let known = numbers
                .into_iter()
                .find(|n| tboot_policy::log::names::name(*n) == Some(name));
            events.push(LogEvent {
                pcr: register,
                event_type: known.unwrap_or(0x501),
                digests: [(Bank::Sha256, digest(name))].into(),
                data: Vec::new(),
            });
        }
    }
    let log = EventLog::parse(&agile(&events, &[Bank::Sha256])).unwrap();
    let mut pcrs = PcrValues::new(Bank::Sha256);
    pcrs.insert(pcr(17), digest("pcr17")).unwrap();
    pcrs.insert(pcr(18), digest("pcr18")).unwrap();
    let registers = compare(&log, &[pcrs]);
    for register in registers.iter().filter(|register| register.pcr < 19) {
        assert_eq!(register.agreement, Agreement::Agrees(Reading::Extended));
    }
}

/// OpenXT's predictor was given a log, a policy, and the hashes of MLE, kernel and initramfs.
#[test]
fn openxts_predictions_are_ours() {
    let sha1 = [
        "198cb039f58e31f50621dc27281c3e4150c70cd2",
        "ece2b194b486118b40ad12c1f0e9425dd0672424",
        "99b3b7a100fded7c7eb1c59f4d75d84137822596",
    ];
    let sha256 = [
        "5ce977ed5726c6c55533de1f28153ea8045fa0f8e7bb9c1dc781b85ba695ed40",
        "65e2d70166c9a802b7ad2a87129b8945f083e5f268878790a9d1f1c03f47938d",
        "09e6c018d2c8c4903308613dd1b72484d57eadf12ec50ddc8f52e5accce470f2",
    ];
    let tpm2 = TbootRules {
        banks: [Bank::Sha256].into(),
        compares: None,
        mapping: Mapping::DetailsAuthorities,
    };
    let da = TbootRules::tpm12(Mapping::DetailsAuthorities);
    let legacy = TbootRules::tpm12(Mapping::Legacy);
    for (case, hashes, bank, rules) in [
        ("da12-default", sha1, Bank::Sha1, da),
        ("da20-sha256", sha256, Bank::Sha256, tpm2.clone()),
        ("da20-full256", sha256, Bank::Sha256, tpm2),
        ("lg12-default", sha1, Bank::Sha1, legacy.clone()),
        ("lg12-ctrl0", sha1, Bank::Sha1, legacy.clone()),
        ("lg12-full", sha1, Bank::Sha1, legacy),
    ] {
        let log = recorded(&format!("pcr-openxt/{case}/log"));
        let policy = recorded(&format!("pcr-openxt/{case}/p.pol"));
        let [mle, modules @ ..] = hashes.map(|digest| hex::decode(digest).unwrap());
        let mut events = EventLog::parse(&log).unwrap().events;
        events.retain(|event| event.event_type != 0x501);
        for event in events.iter_mut().filter(|event| event.event_type == 0x404) {
            event.digests.insert(bank, mle.clone());
        }
        // Ours, and the model's.
        for by_tboot in [
            predicted(&policy, &modules, bank, &rules),
            modelled(&policy, &modules, bank, rules.mapping),
        ] {
            let mut events = events.clone();
            events.extend(by_tboot);
            let log = EventLog {
                format: Format::Merged,
                events,
            };
            let output = recorded(&format!("pcr-openxt/{case}/step01.stdout"));
            for line in String::from_utf8(output).unwrap().lines() {
                let (register, hex) = line.split_once(':').unwrap();
                let ours = value(&log, bank, register.parse().unwrap(), Reading::Value);
                assert_eq!(
                    hex::encode(ours),
                    hex.replace(' ', ""),
                    "{case} PCR {register}"
                );
            }
        }
    }
}

/// tboot's events as they are predicted. The modules' hashes are made up, the policies compare others.
fn predicted(policy: &[u8], modules: &[Vec<u8>], bank: Bank, rules: &TbootRules) -> Vec<LogEvent> {
    let alg = tboot_policy::platform::bank_alg(bank);
    let hashed: Vec<HashedModule> = modules
        .iter()
        .map(|digest| HashedModule {
            name: String::new(),
            digests: BTreeMap::from([(bank, Digest::new(alg, digest).unwrap())]),
        })
        .collect();
    let policy = Policy::parse(policy).unwrap();
    let events = tboot_events(&policy, &hashed, rules).unwrap().events;
    let event = |event: tboot_policy::extends::Event| LogEvent {
        pcr: event.pcr.get().into(),
        event_type: event_type::TBOOT,
        digests: event.digests,
        data: Vec::new(),
    };
    events.into_iter().map(event).collect()
}

/// The same as the model has them.
fn modelled(policy: &[u8], modules: &[Vec<u8>], bank: Bank, mapping: Mapping) -> Vec<LogEvent> {
    let bank = in_model(bank);
    let policy = launch_model::policy::Policy::read(policy).unwrap();
    let registers = match mapping {
        Mapping::Legacy => Registers::Legacy,
        Mapping::DetailsAuthorities => Registers::DetailsAuthorities,
    };
    let hashed: Vec<_> = modules
        .iter()
        .map(|digest| BTreeMap::from([(bank, digest.clone())]))
        .collect();
    let events = launch_model::tboot::events(&policy, &hashed, &Extending::fixed(bank), registers);
    events.iter().map(log_event).collect()
}
