//! Which records nothing needs any more.

use agent::unlock::{LaunchPcrs, TokenId, VolumeHeader};
use anyhow::{Result, bail};
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use crate::{predictions::Entry, reseal::usable, verdict::fits};

/// All but the newest `keep` of the records that are neither for an entry of the menu nor for
/// the running launch.
///
/// # Errors
/// When an entry or the running launch can't be told: then any record may be the one that
/// opens the machine.
pub fn stale(
    header: &VolumeHeader,
    entries: &[Entry],
    tcti: &str,
    keep: usize,
) -> Result<Vec<TokenId>> {
    let mut needed: Vec<LaunchPcrs> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.tboot) {
        match &entry.predicted {
            Ok(values) => needed.push(values.clone()),
            Err(why) => bail!("{} can't be predicted: {why}", entry.name),
        }
    }
    let running = Tpm2::open(tcti)?.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
    // No record is for a launch that measured nothing.
    if let Ok(running) = LaunchPcrs::new(running) {
        needed.push(running);
    }
    let mut unneeded: Vec<_> = usable(header)
        .into_iter()
        .filter(|(_, record)| !needed.iter().any(|values| fits(record, values)))
        .collect();
    unneeded.sort_by_key(|(_, record)| std::cmp::Reverse(record.created()));
    let mut stale: Vec<TokenId> = unneeded
        .into_iter()
        .skip(keep)
        .map(|(token, _)| token)
        .collect();
    stale.sort_unstable();
    stale.dedup();
    Ok(stale)
}
