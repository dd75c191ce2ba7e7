//! What is predicted, beside the model of a launch (`tests/launch-model`), which shares no code with
//! the predictor: for boots of every kind, and for images of tboot of every form.

mod boots;
mod images;

use launch_model::{Boot, Complaint, ModelError, launch};
use proptest::prelude::*;
use tboot_policy::{
    extends::{ExtendError, ExtpolError, Finding},
    log::LogEvent,
    platform::{BANKS, Measured, PlatformRecord},
    predict::{Baseline, PredictError, Prediction, predict},
    vlp::{Check, Entry, ModuleNumber, Object, Policy, PolicyType},
};
use tpm::pcr::{Bank, PcrIndex};
use txt::hash::HashAlg;

use crate::{
    predict::{launching, pcr, recorded},
    written::{files, log_event, module, pcrs, played},
};

/// The simulated platform's record; its capabilities are those that the synthetic tboot leads to.
fn platform() -> Baseline {
    Baseline::from_platform(&PlatformRecord {
        ossinitdata_cap_hash: Measured::Data(vec![1, 2, 0, 0]),
        ..PlatformRecord::simulated()
    })
}

/// Where a boot's modules are not as its policy wants them, as the model says it.
fn complaints(prediction: &Prediction) -> Vec<Complaint> {
    let complaint = |finding: &Finding| match finding {
        Finding::NoEntry { number, .. } => Complaint::NotNamed(*number),
        Finding::HashNotAllowed { number, .. } => Complaint::NotAllowed(*number),
    };
    prediction.findings.iter().map(complaint).collect()
}

/// Is a prediction the launch of these files, or refused for the same reason?
fn agrees(baseline: &Baseline, boot: &Boot) -> Result<(), TestCaseError> {
    let prediction = predict(baseline, &launching(boot));
    let played = match (launch(boot), &prediction) {
        (Ok(played), Ok(_)) => played,
        // tboot takes the last one; that is hardly what was meant.
        (_, Err(PredictError::Extpol(ExtpolError::Twice(..)))) => {
            let options = String::from_utf8_lossy(&boot.tboot_cmdline);
            prop_assert!(options.matches("extpol=").count() > 1, "{options}");
            return Ok(());
        }
        (
            Err(ModelError::OtherAlgorithm { .. }),
            Err(PredictError::Extend(ExtendError::PolicyAlg { .. })),
        ) => return Ok(()),
        (played, _) => {
            return Err(TestCaseError::fail(format!(
                "{played:?} but {prediction:?}"
            )));
        }
    };
    let prediction = prediction.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let predicted: Vec<LogEvent> = prediction
        .rows
        .iter()
        .filter_map(|row| row.new.clone())
        .collect();
    let events: Vec<LogEvent> = played.events.iter().map(log_event).collect();
    let names = |at: usize| prediction.rows.get(at).map(|row| row.name.clone());
    let first = predicted.iter().zip(&events).position(|(a, b)| a != b);
    prop_assert_eq!(first.map(names), None, "the first event that differs");
    prop_assert_eq!(predicted.len(), events.len());
    for values in pcrs(boot) {
        prop_assert_eq!(&prediction.values[&values.bank()].new, &values);
    }
    prop_assert_eq!(complaints(&prediction), played.complaints);
    prop_assert_eq!(prediction.halts, played.halts);
    for bank in BANKS {
        // Another kernel changes something in the banks that are sealed to.
        let mut other = boot.clone();
        other.modules[0].cmdline.push(b'x');
        let of_bank = |boot: &Boot| pcrs(boot).into_iter().find(|values| values.bank() == bank);
        let differs = of_bank(&other) != of_bank(boot);
        prop_assert!(differs || prediction.sealable(bank).is_err(), "{}", bank);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_prediction_from_a_record_is_the_launch_that_the_model_carries_out(
        mut old in boots::boot(),
        mut new in boots::boot(),
    ) {
        // A policy of another algorithm than tboot's has no launch to record.
        if launch(&old).is_err() {
            old.vlp = None;
        }
        // What a record with this option does not tell has a test of its own.
        if has_legacy_log(&old) {
            new.tboot_cmdline.extend(b" force_tpm2_legacy_log=true");
        }
        agrees(&recorded(&old), &new)?;
    }

    #[test]
    fn so_is_the_prediction_for_the_simulated_platform(boot in boots::boot()) {
        agrees(&platform(), &boot)?;
    }

    #[test]
    fn an_image_of_tboot_has_the_models_hash(image in images::image(), cmdline in "[ -~]{0,40}") {
        let model = launch_model::mle::Mle::of(&image, cmdline.as_bytes());
        let ours = txt::mlehash::Mle::parse(&image);
        // Why either refuses is not compared, only whether it does.
        let hash = |alg| ours.as_ref().ok()?.hash(alg, cmdline.as_bytes()).ok();
        prop_assert_eq!(model.is_ok(), hash(HashAlg::Sha256).is_some(), "{:?} {:?}", model, ours);
        let Ok(model) = model else { return Ok(()) };
        for (alg, bank) in [HashAlg::Sha1, HashAlg::Sha256, HashAlg::Sha384]
            .into_iter()
            .zip(launch_model::Bank::ALL)
        {
            let hash = hash(alg).unwrap();
            prop_assert_eq!(hash.as_bytes(), model.hash(bank));
        }
        prop_assert_eq!(ours.unwrap().header().capabilities, model.capabilities);
    }
}

fn has_legacy_log(boot: &Boot) -> bool {
    let options = String::from_utf8_lossy(&boot.tboot_cmdline);
    options.contains("force_tpm2_legacy_log=true")
}

/// Whether SINIT can write a TCG event log is not in the record of a launch that forbade it: it is
/// predicted as recorded, and a launch that allows it again may have other capabilities.
#[test]
fn a_record_with_the_legacy_log_does_not_tell_the_capabilities_without_that_option() {
    let old = files("force_tpm2_legacy_log=true", None);
    let new = files("", None);
    let prediction = predict(&recorded(&old), &launching(&new)).unwrap();
    let events: Vec<LogEvent> = played(&new).events.iter().map(log_event).collect();
    let other: Vec<&str> = prediction
        .rows
        .iter()
        .zip(&events)
        .filter(|(row, event)| row.new.as_ref() != Some(*event))
        .map(|(row, _)| row.name.as_str())
        .collect();
    assert_eq!(other, ["OSSINITDATA_CAP_HASH", "OSSINITDATA_CAP_HASH"]);
}

fn entry(number: u8, register: u8) -> Entry {
    Entry::measure(
        Object::Module(ModuleNumber::new(number).unwrap()),
        Some(pcr(register)),
    )
}

/// Kernel into PCR 18, initramfs into PCR 19.
fn policy() -> Policy {
    let entries = vec![entry(0, 18), entry(1, 19)];
    Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, entries).unwrap()
}

#[test]
fn any_changed_input_changes_a_register() {
    let base = files("logging=serial", Some(policy()));
    let values = |boot: &Boot| {
        let prediction = predict(&recorded(&base), &launching(boot)).unwrap();
        prediction.values[&Bank::Sha256].new.clone()
    };
    let before = values(&base);
    let differs = |change: &dyn Fn(&mut Boot)| -> Vec<u8> {
        let mut changed = base.clone();
        change(&mut changed);
        let after = values(&changed);
        let changed = |number: &u8| {
            let register = PcrIndex::try_from(*number).unwrap();
            after.get(register) != before.get(register)
        };
        (17..=19).filter(changed).collect()
    };
    assert_eq!(differs(&|boot| boot.tboot_cmdline.push(b'x')), [17]);
    assert_eq!(
        differs(&|boot| boot.modules[0].cmdline.push(b' ')),
        [17, 18]
    );
    let change = |boot: &mut Boot| boot.modules[1] = module("initrd-1", "", b"another");
    assert_eq!(differs(&change), [19]);
    assert_eq!(differs(&|boot| boot.vlp = None), [17, 18, 19]);
}

#[test]
fn a_module_that_is_not_as_the_policy_wants_it_is_named() {
    let mut kernel = entry(0, 18);
    kernel.check = Check::Image;
    kernel.hashes = vec![HashAlg::Sha256.digest(b"another kernel")];
    let vlp = Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![kernel]).unwrap();
    let boot = files("", Some(vlp));
    let prediction = predict(&platform(), &launching(&boot)).unwrap();
    assert!(prediction.halts);
    let said: Vec<String> = prediction
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        said[0].contains("vmlinuz-1") && said[0].contains("policy allows"),
        "{said:?}"
    );
    assert!(
        said[1].contains("module 1 (initrd-1) has no entry"),
        "{said:?}"
    );
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let refused = |boot: &Boot| predict(&platform(), &launching(boot)).unwrap_err();
    let mut no_module = files("", None);
    no_module.modules.clear();
    assert!(matches!(
        refused(&no_module),
        PredictError::Extend(ExtendError::NoModules)
    ));
    assert!(matches!(
        refused(&files("extpol=agile", None)),
        PredictError::Extpol(ExtpolError::Unsupported(_))
    ));
    assert!(
        predict(
            &platform(),
            &launching(&files("extpol=sha1", Some(policy())))
        )
        .is_ok(),
        "no hash is compared"
    );
    let mut compared = entry(0, 18);
    compared.check = Check::Image;
    let vlp = Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![compared]).unwrap();
    assert!(matches!(
        refused(&files("extpol=sha1", Some(vlp))),
        PredictError::Extend(ExtendError::PolicyAlg { .. })
    ));
    // tboot drops what its list has no room for: a module could change unseen.
    let mut many = files("", None);
    many.modules = vec![module("m", "", b""); 40];
    assert!(matches!(
        refused(&many),
        PredictError::Extend(ExtendError::TooManyEvents(42))
    ));
    let by_tboot = |event: &&launch_model::Event| event.locality == 2;
    assert_eq!(played(&many).events.iter().filter(by_tboot).count(), 32);
}
