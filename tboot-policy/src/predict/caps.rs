//! OsSinitData.Capabilities: what tboot tells SINIT, and SINIT measures (OSSINITDATA_CAP_HASH).
//!
//! tboot makes them of the capabilities in its MLE header and of what the SINIT module can do. Of
//! the latter the recorded launch tells: its digest is that of one of the few possible values.

use std::collections::BTreeMap;

use tpm::pcr::Bank;

use super::PredictError;
use crate::{log::LogEvent, platform::bank_alg};

/// Bits that tboot sets or clears by what SINIT can do: RLP wake-up by GETSEC (0) or MONITOR (1),
/// ECX page table (2, always cleared), D/A mapping of TPM 1.2 (5), TCG event log (9).
const FROM_SINIT: u32 = 0x227;
/// Highest value that is tried.
const MAX_CAPS: u32 = 0xffff;

/// The value whose digests these are.
fn recorded(digests: &BTreeMap<Bank, Vec<u8>>) -> Option<u32> {
    let (bank, digest) = digests.iter().next()?;
    let alg = bank_alg(*bank);
    (0..=MAX_CAPS).find(|caps| alg.digest(&caps.to_le_bytes()).as_bytes() == digest)
}

/// tboot's option that keeps SINIT from writing a TCG event log.
const LEGACY_LOG: &[u8] = b"force_tpm2_legacy_log=true";
/// The bit that asks SINIT for a TCG event log.
const TCG_LOG: u32 = 0x200;

/// The capabilities that a tboot with this MLE header and command line gives; `None` when they are
/// the recorded ones.
///
/// A record of a launch with [`LEGACY_LOG`] does not tell whether SINIT can write a TCG event log:
/// without that option the prediction is still for a launch without one, and is wrong where SINIT can.
/// Nothing opens then that should not; the remedy is a new record.
pub(super) fn changed(
    old: &LogEvent,
    mle_caps: u32,
    cmdline: &[u8],
) -> Result<Option<u32>, PredictError> {
    let before = recorded(&old.digests).ok_or(PredictError::Capabilities { new: mle_caps })?;
    let mut now = (mle_caps & !FROM_SINIT) | (before & FROM_SINIT);
    if cmdline
        .split(u8::is_ascii_whitespace)
        .any(|word| word == LEGACY_LOG)
    {
        now &= !TCG_LOG;
    }
    Ok((now != before).then_some(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &[u8]) -> LogEvent {
        let digest = |bank: Bank| (bank, bank_alg(bank).digest(data).as_bytes().to_vec());
        LogEvent {
            pcr: 17,
            event_type: 0x40f,
            digests: [Bank::Sha1, Bank::Sha256].map(digest).into(),
            data: Vec::new(),
        }
    }

    #[test]
    fn a_new_tboots_capabilities_keep_what_sinit_decides() {
        // tboot 1.9 on a machine with GETSEC wake-up and TCG log; then 1.10.5, whose header has
        // 0x627; then 1.11.
        let old = event(&0x201u32.to_le_bytes());
        assert_eq!(changed(&old, 0x223, b"").unwrap(), None);
        assert_eq!(changed(&old, 0x627, b"").unwrap(), Some(0x601));
        let old = event(&0x602u32.to_le_bytes());
        assert_eq!(changed(&old, 0x627, b"").unwrap(), None);
        assert_eq!(changed(&old, 0x4627, b"").unwrap(), Some(0x4602));
        let legacy = b"logging=none force_tpm2_legacy_log=true";
        assert_eq!(changed(&old, 0x627, legacy).unwrap(), Some(0x402));
    }

    #[test]
    fn an_unknown_value_is_refused() {
        let error = changed(&event(b"no capabilities"), 0x627, b"").unwrap_err();
        assert!(error.to_string().contains("record that launch"), "{error}");
    }
}
