//! A prediction as text and as JSON.

use tboot_policy::predict::{BankValues, PredictError, Prediction, printed::PrintedPrediction};
use tpm::{Bank, PcrPolicy};

/// Values that do not depend on what is booted are not handed out. (TPM 1.2 has one bank only.)
pub fn refuse_unmeasured(prediction: &Prediction, bank: Bank) -> Result<(), PredictError> {
    match prediction.extpol {
        Some(_) => prediction.sealable(bank).map(drop),
        None => Ok(()),
    }
}

/// The first digits of a digest: enough to see what is the same.
fn short(digest: Option<&Vec<u8>>) -> String {
    let hex = digest.map_or("-".to_owned(), hex::encode);
    hex.get(..16)
        .map_or(hex.clone(), |begin| format!("{begin}.."))
}

/// What changes, and the registers.
pub fn print(prediction: &Prediction) {
    for (bank, values) in measured(prediction) {
        println!(
            "{bank:6}   {:22} {:18} {:18} measured file",
            "event", "old", "new"
        );
        for row in &prediction.rows {
            let digest = |event: &Option<tboot_policy::log::LogEvent>| {
                short(event.as_ref().and_then(|event| event.digests.get(bank)))
            };
            let (old, new) = (digest(&row.old), digest(&row.new));
            // tboot extends one bank only, unless it is told otherwise.
            if old == "-" && new == "-" {
                continue;
            }
            let changed = values.old.is_some() && old != new;
            let mark = if changed { '*' } else { ' ' };
            // What SINIT measures is in no file of the boot.
            let file = row.file.as_deref().unwrap_or_default();
            println!(
                "PCR {:2} {mark} {:22} {old:18} {new:18} {file}",
                row.pcr, row.name
            );
        }
    }
    print_values(prediction);
    if let Some(digest) = policy_digest(prediction) {
        println!("policy digest (PolicyPCR sha256:17,18,19): {digest}");
    }
}

/// The banks that the launch is measured into.
fn measured(prediction: &Prediction) -> impl Iterator<Item = (&Bank, &BankValues)> {
    let banks = prediction.values.iter();
    banks.filter(|(bank, _)| prediction.sealable(**bank).is_ok())
}

/// The registers, and what tboot has against the launch.
pub fn print_values(prediction: &Prediction) {
    for (bank, values) in measured(prediction) {
        for (pcr, new) in values.new.iter() {
            let old = values.old.as_ref().and_then(|old| old.get(pcr));
            let note = match old {
                None => "",
                Some(old) if old == new => " (as before)",
                Some(_) => " (changes)",
            };
            println!("{bank} PCR {pcr}: {}{note}", hex::encode(new));
        }
    }
    for finding in &prediction.findings {
        println!("{finding}");
    }
    if prediction.halts {
        println!("tboot would halt: there will be no such launch");
    }
}

/// What an object sealed to the predicted SHA-256 values has as authPolicy.
fn policy_digest(prediction: &Prediction) -> Option<String> {
    let values = prediction.sealable(Bank::Sha256).ok()?;
    PcrPolicy::new(values.new.clone()).map(|policy| hex::encode(policy.digest()))
}

/// A prediction as it is printed in JSON.
pub fn printed(prediction: &Prediction) -> PrintedPrediction {
    PrintedPrediction::new(prediction, policy_digest(prediction))
}
