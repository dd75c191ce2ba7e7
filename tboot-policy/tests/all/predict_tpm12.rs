//! The prediction for a TPM 1.2, in both of its PCR mappings.

use tboot_policy::{
    launch::{HashedModule, LaunchInput, Mapping, TbootRules, tboot_events},
    log::{
        EventLog, LogEvent,
        replay::{Reading, value},
    },
    predict::{Baseline, Family, PredictError, predict},
    vlp::Policy,
};
use tpm::{Bank, PcrValues};
use txt::hash::HashAlg;

use crate::{
    predict::{any_policy, launching, pcr, updated},
    written::*,
};

#[test]
fn tpm_12_is_predicted_in_both_mappings() {
    let alg = HashAlg::Sha1;
    let event = |register: u32, kind: u32, data: &[u8]| LogEvent {
        pcr: register,
        event_type: kind,
        digests: [(Bank::Sha1, alg.digest(data).as_bytes().to_vec())].into(),
        data: Vec::new(),
    };
    let mle = |cmdline: &[u8]| {
        let mle = txt::mlehash::Mle::parse(&tboot()).unwrap();
        mle.hash(alg, cmdline).unwrap().as_bytes().to_vec()
    };
    let tboot_events_of = |input: &LaunchInput, mapping, policy: &Policy| {
        let banks = [Bank::Sha1].into();
        let hashed: Vec<_> = input
            .modules
            .iter()
            .map(|m| HashedModule::of(m, &banks).unwrap())
            .collect();
        tboot_events(policy, &hashed, &TbootRules::tpm12(mapping))
            .unwrap()
            .events
    };
    let whole = |input: &LaunchInput, mapping: Mapping| {
        let mut mle_hash = event(if mapping == Mapping::Legacy { 18 } else { 17 }, 0x404, b"");
        mle_hash
            .digests
            .insert(Bank::Sha1, mle(&input.tboot_cmdline));
        let mut events = vec![event(17, 0x402, b"sinit")];
        let policy = match mapping {
            Mapping::Legacy => {
                events.push(event(17, 0x403, b"combined"));
                Policy::default_tpm12()
            }
            Mapping::DetailsAuthorities => {
                events.push(event(18, 0x410, b"key"));
                Policy::default_tpm12_da()
            }
        };
        events.push(mle_hash);
        for e in tboot_events_of(input, mapping, &policy) {
            events.push(LogEvent {
                pcr: e.pcr.get().into(),
                event_type: 0x501,
                digests: e.digests,
                data: Vec::new(),
            });
        }
        EventLog::parse(&container(&events)).unwrap()
    };
    for mapping in [Mapping::Legacy, Mapping::DetailsAuthorities] {
        let da = mapping == Mapping::DetailsAuthorities;
        let old = files(if da { "pcr_map=da" } else { "logging=vga" }, None);
        let new = updated(&old);
        for reading in Reading::BOTH {
            let values = |input: &LaunchInput| {
                let log = whole(input, mapping);
                let mut values = PcrValues::new(Bank::Sha1);
                for register in 17..=19 {
                    values
                        .insert(pcr(register), value(&log, Bank::Sha1, register, reading))
                        .unwrap();
                }
                values
            };
            let baseline =
                Baseline::from_log(&whole(&old, mapping), &[values(&old)], None).unwrap();
            assert_eq!(
                (baseline.family, baseline.mapping, baseline.reading),
                (Family::Tpm12, mapping, reading)
            );
            let prediction = predict(&baseline, &launching(&new)).unwrap();
            assert_eq!(prediction.values[&Bank::Sha1].new, values(&new));
            let mut other = launching(&new);
            other.tboot_cmdline = if da {
                b"".to_vec()
            } else {
                b"pcr_map=da".to_vec()
            };
            let error = predict(&baseline, &other).unwrap_err();
            assert!(matches!(error, PredictError::Mapping { .. }));
            let mut next = launching(&new);
            next.lcp = Some(any_policy(0));
            let refused = predict(&baseline, &next).is_err();
            assert_eq!(refused, mapping == Mapping::Legacy);
        }
    }
}
