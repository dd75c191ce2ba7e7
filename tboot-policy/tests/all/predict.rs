//! Predictions: equal to the launch that then happens, side by side with the last one, refused
//! where something unknown decides.

use launch_model::Boot;
use tboot_policy::{
    acm::Role,
    log::{
        EventLog, Format, LogEvent,
        replay::{Reading, value},
    },
    module::Module,
    platform::BANKS,
    predict::{Baseline, BaselineError, Family, FileHash, Launching, PredictError, predict},
    tboot::Tboot,
    vlp::{Check, Entry, ModuleNumber, Object, Policy, PolicyType},
};
use tpm::{Bank, PcrIndex, PcrValues};
use txt::{
    hash::HashAlg,
    policy::{Policy as LcpPolicy, PolicyType as LcpType},
};

use crate::written::*;

pub fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

/// The record of a launch of these files.
pub fn recorded(input: &Boot) -> Baseline {
    let log = EventLog::parse(&agile(&log_events(input), &BANKS)).unwrap();
    Baseline::from_log(&log, &pcrs(input), None).unwrap()
}

pub fn launching(input: &Boot) -> Launching {
    Launching {
        tboot_name: "tboot.gz".into(),
        tboot: Tboot::parse(&input.tboot).unwrap(),
        tboot_cmdline: input.tboot_cmdline.clone(),
        modules: input.modules.iter().map(to_be_predicted).collect(),
        vlp: input
            .vlp
            .as_ref()
            .map(|bytes| Policy::parse(bytes).unwrap()),
        lcp: None,
        left_out: Vec::new(),
    }
}

fn to_be_predicted(module: &launch_model::Module) -> Module {
    Module::new(&module.name, module.cmdline.clone(), module.file.clone())
}

fn policy() -> Policy {
    let entry = |number, register| {
        let object = Object::Module(ModuleNumber::new(number).unwrap());
        Entry::measure(object, Some(pcr(register)))
    };
    let entries = vec![entry(0, 18), entry(1, 19)];
    Policy::new(PolicyType::NonFatal, HashAlg::Sha256, 1, entries).unwrap()
}

/// A new kernel, initramfs and command line.
pub fn updated(input: &Boot) -> Boot {
    let mut new = input.clone();
    new.modules = vec![
        module("vmlinuz-2", "root=/dev/sda1 ro quiet", b"kernel 2"),
        module("initrd-2", "", b"070701 second"),
    ];
    new.tboot_cmdline.extend(b" loglvl=all");
    new
}

#[test]
fn the_prediction_is_the_launch_that_then_happens() {
    for (options, vlp) in [
        ("logging=serial", Some(policy())),
        ("logging=serial", None),
        ("extpol=sha1", None),
        ("extpol=embedded", Some(policy())),
    ] {
        let old = files(options, vlp);
        let new = updated(&old);
        let prediction = predict(&recorded(&old), &launching(&new)).unwrap();
        assert_eq!(prediction.values.len(), 3);
        for played in pcrs(&new) {
            assert_eq!(prediction.values[&played.bank()].new, played, "{options}");
        }
        let sealable = prediction.sealable(Bank::Sha256);
        assert_eq!(sealable.is_ok(), !options.contains("extpol"), "{options}");
        for before in pcrs(&old) {
            let values = &prediction.values[&before.bank()];
            assert_eq!(values.old.as_ref(), Some(&before), "{options}");
        }
    }
}

#[test]
fn each_changed_event_names_the_file_that_changed_it() {
    let old = files("logging=serial", Some(policy()));
    let mut new = old.clone();
    new.modules[1] = module("initrd-2", "", b"070701 second");
    let prediction = predict(&recorded(&old), &launching(&new)).unwrap();
    let changed: Vec<(u32, &str, Option<&str>)> = prediction
        .rows
        .iter()
        .filter(|row| row.changed())
        .map(|row| (row.pcr, row.name.as_str(), row.file.as_deref()))
        .collect();
    assert_eq!(changed, [(19, "module 1", Some("initrd-2"))]);
    assert!(
        !predict(&recorded(&old), &launching(&old))
            .unwrap()
            .rows
            .iter()
            .any(|row| row.changed())
    );
}

#[test]
fn a_log_that_does_not_lead_to_its_pcrs_is_refused() {
    let input = files("logging=serial", None);
    let events = log_events(&input);
    let right = pcrs(&input);
    let refused = |events: &[LogEvent], pcrs: &[PcrValues]| {
        let log = EventLog::parse(&agile(events, &BANKS)).unwrap();
        Baseline::from_log(&log, pcrs, None)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&events, &[]).contains("give their values (--pcrs)"));
    let mut changed = events.clone();
    changed[4].digests.get_mut(&Bank::Sha256).unwrap()[0] ^= 1;
    let text = refused(&changed, &right);
    assert!(
        text.contains("sha256 PCR 17 is") && text.contains("the log gives"),
        "{text}"
    );
    let mut more = events.clone();
    more.push(events[3].clone());
    assert!(refused(&more, &right).contains("agrees up to, but without event"));
    let mut unmeasured = PcrValues::new(Bank::Sha256);
    for register in [17, 18, 19] {
        unmeasured.insert(pcr(register), vec![0xff; 32]).unwrap();
    }
    assert!(refused(&events, &[unmeasured]).contains("no measured launch"));
}

/// A log with another event list, and the PCRs that it leads to.
fn consistent(events: Vec<LogEvent>) -> (EventLog, Vec<PcrValues>) {
    let log = EventLog {
        format: Format::CryptoAgile,
        events,
    };
    let mut values = PcrValues::new(Bank::Sha256);
    for register in 17..=19 {
        let replayed = value(&log, Bank::Sha256, register, Reading::Extended);
        values.insert(pcr(register), replayed).unwrap();
    }
    (log, vec![values])
}

#[test]
fn an_unknown_event_is_named() {
    let mut events = log_events(&files("", None));
    events[5].event_type = 0x4ab;
    let (log, values) = consistent(events);
    let error = Baseline::from_log(&log, &values, None).unwrap_err();
    assert_eq!(
        error,
        BaselineError::UnknownEvent {
            place: 5,
            event_type: 0x4ab,
            pcr: 17
        }
    );
    let mut events = log_events(&files("", None));
    events.retain(|event| event.event_type != 0x404);
    let (log, values) = consistent(events);
    let error = Baseline::from_log(&log, &values, None).unwrap_err();
    assert_eq!(error, BaselineError::Missing("MLE_HASH"));
}

#[test]
fn only_banks_that_were_compared_are_predicted() {
    let input = files("", None);
    let log = EventLog::parse(&agile(&log_events(&input), &BANKS)).unwrap();
    let only = |bank| {
        pcrs(&input)
            .into_iter()
            .filter(move |v| v.bank() == bank)
            .collect::<Vec<_>>()
    };
    let baseline = Baseline::from_log(&log, &only(Bank::Sha256), None).unwrap();
    assert_eq!(baseline.banks(), [Bank::Sha256].into());
    // tboot extends SHA-256, the record has only SHA-1.
    let baseline = Baseline::from_log(&log, &only(Bank::Sha1), Some(Family::Tpm20)).unwrap();
    let error = predict(&baseline, &launching(&input)).unwrap_err();
    assert!(matches!(error, PredictError::Bank(Bank::Sha256)));
}

#[test]
fn another_sinit_module_or_policy_data_is_refused() {
    let input = files("", None);
    let mut baseline = recorded(&input);
    let sinit = FileHash::of(Role::Sinit, "old_SINIT.bin", b"old");
    let mut next = launching(&input);
    next.left_out = vec![FileHash::of(Role::Sinit, "SINIT.bin", b"old")];
    let prediction = predict(&baseline, &next).unwrap();
    assert!(
        prediction
            .warnings
            .iter()
            .any(|w| w.contains("which SINIT module"))
    );
    baseline.left_out = vec![sinit];
    assert!(
        predict(&baseline, &next)
            .unwrap()
            .warnings
            .iter()
            .all(|w| !w.contains("SINIT"))
    );
    next.left_out = vec![FileHash::of(Role::Sinit, "SINIT.bin", b"new")];
    let error = predict(&baseline, &next).unwrap_err().to_string();
    assert!(
        error.contains("SINIT.bin is not the one of the recorded launch"),
        "{error}"
    );
    next.left_out.clear();
    let error = predict(&baseline, &next).unwrap_err().to_string();
    assert!(
        error.contains("old_SINIT.bin was loaded at the recorded launch"),
        "{error}"
    );
}

/// LCP_POLICY2 of type any with a control field.
pub fn any_policy(control: u32) -> LcpPolicy {
    let mut bytes = vec![0x00, 0x03, 0x0b, 0x00, 1];
    bytes.resize(22, 0);
    bytes.extend(control.to_le_bytes());
    bytes.extend([0xff, 0, 8, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0; 32]);
    LcpPolicy::parse(&bytes).unwrap()
}

#[test]
fn a_new_launch_control_policy_changes_what_can_be_computed() {
    let old = files("", None);
    let mut next = launching(&old);
    next.lcp = Some(any_policy(2));
    let prediction = predict(&recorded(&old), &next).unwrap();
    let mut played = old.clone();
    played.platform.lcp_control = vec![2, 0, 0, 0];
    for values in pcrs(&played) {
        assert_eq!(prediction.values[&values.bank()].new, values);
    }
    let mut list = any_policy(2).to_bytes();
    list[4] = 0;
    next.lcp = Some(LcpPolicy::parse(&list).unwrap());
    assert!(matches!(next.lcp, Some(LcpPolicy::Tpm20(ref p)) if p.policy_type == LcpType::List));
    let error = predict(&recorded(&old), &next).unwrap_err().to_string();
    assert!(error.contains("LCP_DETAILS_HASH"), "{error}");
}

#[test]
fn tboot_that_would_halt_is_said() {
    let old = files("", None);
    let mut next = launching(&old);
    let mut wrong = Entry::measure(Object::AnyModule, None);
    wrong.check = Check::Image;
    wrong.hashes = vec![HashAlg::Sha256.digest(b"something else")];
    next.vlp = Some(Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![wrong]).unwrap());
    let prediction = predict(&recorded(&old), &next).unwrap();
    assert!(prediction.halts);
    assert_eq!(prediction.findings.len(), 2);
}

#[test]
fn a_bank_that_tboot_leaves_alone_is_not_sealed_to() {
    let old = files("extpol=sha1", Some(sha1_policy()));
    let mut other = old.clone();
    other.modules[0] = module("vmlinuz-evil", "init=/bin/sh", b"another kernel");
    let of = |input: &Boot| predict(&recorded(&old), &launching(input)).unwrap();
    let (approved, evil) = (of(&old), of(&other));
    // Two kernels, one value: whoever is sealed to it opens to both.
    let sha256 = Bank::Sha256;
    assert_eq!(approved.values[&sha256].new, evil.values[&sha256].new);
    let error = approved.sealable(sha256).unwrap_err();
    assert!(matches!(
        error,
        PredictError::NotExtended {
            asked: Bank::Sha256,
            extended: Bank::Sha1
        }
    ));
    assert!(error.to_string().contains("extpol=sha256"), "{error}");
    let sha1 = |prediction: &tboot_policy::predict::Prediction| {
        prediction.sealable(Bank::Sha1).unwrap().new.clone()
    };
    assert_ne!(sha1(&approved), sha1(&evil));
    let embedded = of(&files("extpol=embedded", None));
    for bank in BANKS {
        let error = embedded.sealable(bank).unwrap_err();
        assert!(matches!(error, PredictError::Embedded), "{bank}");
    }
}

fn sha1_policy() -> Policy {
    let entry = |number, register| {
        let object = Object::Module(ModuleNumber::new(number).unwrap());
        Entry::measure(object, Some(pcr(register)))
    };
    let entries = vec![entry(0, 18), entry(1, 19)];
    Policy::new(PolicyType::NonFatal, HashAlg::Sha1, 1, entries).unwrap()
}
