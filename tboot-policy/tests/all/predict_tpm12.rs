//! The prediction for a TPM 1.2, in both of its PCR mappings.

use launch_model::{
    Boot,
    mle::Mle,
    policy::Policy,
    tboot::{Extending, Registers, events},
};
use tboot_policy::{
    extends::Mapping,
    log::{
        EventLog, LogEvent,
        replay::{Reading, value},
    },
    predict::{Baseline, Family, PredictError, predict},
};
use tpm::{Bank, PcrValues};

use crate::{
    predict::{any_policy, launching, pcr, updated},
    written::*,
};

/// The log of the launch that the model makes of these files, under tboot's built-in policy.
fn log(boot: &Boot, registers: Registers) -> EventLog {
    let bank = launch_model::Bank::Sha1;
    let of_sinit = |pcr: u32, event_type: u32, digest: Vec<u8>| LogEvent {
        pcr,
        event_type,
        digests: [(Bank::Sha1, digest)].into(),
        data: Vec::new(),
    };
    let mle = Mle::of(&boot.tboot, &boot.tboot_cmdline)
        .unwrap()
        .hash(bank);
    let sinit = of_sinit(17, 0x402, bank.hash(b"sinit"));
    let (policy, mut log) = match registers {
        Registers::Legacy => {
            let combined = of_sinit(17, 0x403, bank.hash(b"combined"));
            let log = vec![sinit, combined, of_sinit(18, 0x404, mle)];
            (Policy::DEFAULT_LEGACY, log)
        }
        Registers::DetailsAuthorities => {
            let key = of_sinit(18, 0x410, bank.hash(b"key"));
            (
                Policy::DEFAULT_TPM12_DA,
                vec![sinit, key, of_sinit(17, 0x404, mle)],
            )
        }
    };
    let policy = Policy::read(&policy).unwrap();
    let modules: Vec<_> = boot
        .modules
        .iter()
        .map(|module| module.hashes(&[bank]).unwrap())
        .collect();
    let by_tboot = events(&policy, &modules, &Extending::fixed(bank), registers);
    log.extend(by_tboot.iter().map(log_event));
    EventLog::parse(&container(&log)).unwrap()
}

#[test]
fn tpm_12_is_predicted_in_both_mappings() {
    for (mapping, registers) in [
        (Mapping::Legacy, Registers::Legacy),
        (Mapping::DetailsAuthorities, Registers::DetailsAuthorities),
    ] {
        let da = mapping == Mapping::DetailsAuthorities;
        let old = files(if da { "pcr_map=da" } else { "logging=vga" }, None);
        let new = updated(&old);
        for reading in Reading::BOTH {
            let values = |boot: &Boot| {
                let log = log(boot, registers);
                let mut values = PcrValues::new(Bank::Sha1);
                for register in 17..=19 {
                    values
                        .insert(pcr(register), value(&log, Bank::Sha1, register, reading))
                        .unwrap();
                }
                values
            };
            let baseline =
                Baseline::from_log(&log(&old, registers), &[values(&old)], None).unwrap();
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
