//! Says which measured component is not the approved one.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use tpm::{PcrIndex, PcrValues};

/// One register that does not have its expected value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PcrDifference {
    /// The register.
    pub pcr: PcrIndex,
    /// The value it should have, hex.
    pub expected: String,
    /// The value it has, hex; `None` when it was not read.
    pub found: Option<String>,
    /// What is measured into it.
    pub component: String,
}

impl fmt::Display for PcrDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.as_deref().unwrap_or("nothing");
        write!(
            f,
            "PCR {} ({}) is {}, expected {}",
            self.pcr,
            self.component,
            abbreviated(found),
            abbreviated(&self.expected)
        )
    }
}

/// The first and last digits are enough for a person to compare.
fn abbreviated(digits: &str) -> String {
    match (
        digits.get(..8),
        digits.get(digits.len().saturating_sub(4)..),
    ) {
        (Some(start), Some(end)) if digits.len() > 16 => format!("{start}..{end}"),
        _ => digits.to_owned(),
    }
}

/// What is measured into a register when a record does not say: the launch by tboot with a
/// verified launch policy as taoboot writes it, otherwise the TCG's PC client convention.
pub fn default_component(pcr: PcrIndex) -> &'static str {
    match pcr.get() {
        0..=7 => "firmware and its configuration",
        15 => "the latch",
        17 => "tboot, the SINIT module, the launch control policy and tboot's policy",
        18 => "the kernel and its command line",
        19 => "the initramfs",
        _ => "software",
    }
}

/// The registers of `expected` that have another value in `seen`, in ascending order.
pub fn explain(
    expected: &PcrValues,
    seen: &PcrValues,
    components: &BTreeMap<PcrIndex, String>,
) -> Vec<PcrDifference> {
    expected
        .iter()
        .filter(|(pcr, value)| seen.get(*pcr) != Some(*value))
        .map(|(pcr, value)| PcrDifference {
            pcr,
            expected: hex::encode(value),
            found: seen.get(pcr).map(hex::encode),
            component: components
                .get(&pcr)
                .cloned()
                .unwrap_or_else(|| default_component(pcr).to_owned()),
        })
        .collect()
}

/// Does a register of PCR 17-22 read all ones, as it does when no measured launch happened
/// since the last reset (TCG PC Client Platform TPM Profile 1.05, section 4.6.2)?
pub fn is_no_launch(values: &PcrValues) -> bool {
    values.iter().any(|(pcr, value)| {
        (17..=22).contains(&pcr.get()) && value.iter().all(|byte| *byte == 0xff)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpm::Bank;

    fn values(pairs: &[(u8, u8)]) -> PcrValues {
        let mut values = PcrValues::new(Bank::Sha256);
        for (pcr, byte) in pairs {
            values
                .insert(PcrIndex::try_from(*pcr).unwrap(), vec![*byte; 32])
                .unwrap();
        }
        values
    }

    #[test]
    fn only_the_registers_that_differ_are_named_with_their_component() {
        let expected = values(&[(17, 1), (18, 2), (19, 3)]);
        let seen = values(&[(17, 1), (18, 9), (19, 3)]);
        let differences = explain(&expected, &seen, &BTreeMap::new());
        assert_eq!(differences.len(), 1);
        let sentence = differences[0].to_string();
        assert_eq!(
            sentence,
            "PCR 18 (the kernel and its command line) is 09090909..0909, expected 02020202..0202"
        );
    }

    #[test]
    fn the_record_s_own_words_for_a_register_win() {
        let pcr = PcrIndex::try_from(18).unwrap();
        let words = BTreeMap::from([(pcr, "kernel 6.1.0-56".to_owned())]);
        let differences = explain(&values(&[(18, 2)]), &values(&[]), &words);
        assert_eq!(differences[0].component, "kernel 6.1.0-56");
        assert_eq!(differences[0].found, None);
    }

    #[test]
    fn all_ones_is_no_launch_only_in_the_launch_registers() {
        assert!(is_no_launch(&values(&[(17, 0xff)])));
        assert!(!is_no_launch(&values(&[(17, 0), (18, 0), (16, 0xff)])));
    }
}
