//! Which records nothing needs any more.

use agent::unlock::{CheckedHeader, LaunchPcrs, SealedRecord, TokenId};
use anyhow::{Result, bail};
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use crate::{
    next_boot::{predictions::Entry, verdict::fits},
    volume::records::usable,
};

/// The launches that must keep their records: the running one and those of the menu.
///
/// # Errors
/// When an entry or the running launch cannot be told: then any record may be the one that
/// opens the machine.
pub fn needed<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
    tcti: &str,
) -> Result<Vec<LaunchPcrs>> {
    let mut needed: Vec<LaunchPcrs> = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.tboot) {
        match &entry.predicted {
            Ok(values) => needed.push(values.clone()),
            Err(why) => bail!("{} cannot be predicted: {why}", entry.name),
        }
    }
    let running = Tpm2::open(tcti)?.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
    // No record is for a launch that measured nothing.
    if let Ok(running) = LaunchPcrs::new(running) {
        needed.push(running);
    }
    Ok(needed)
}

/// All but the newest `keep` of the records that are for none of the `needed` launches, or not
/// among the `genuine` ones.
pub fn stale(
    header: &CheckedHeader,
    genuine: &[(TokenId, SealedRecord)],
    needed: &[LaunchPcrs],
    keep: usize,
) -> Vec<TokenId> {
    let is_genuine = |token: TokenId| genuine.iter().any(|(known, _)| *known == token);
    let mut unneeded: Vec<_> = usable(header)
        .into_iter()
        .filter(|(token, record)| {
            !is_genuine(*token) || !needed.iter().any(|values| fits(record, values))
        })
        .collect();
    unneeded
        .sort_by_key(|(token, record)| (!is_genuine(*token), std::cmp::Reverse(record.created())));
    let mut stale: Vec<TokenId> = unneeded
        .into_iter()
        .skip(keep)
        .map(|(token, _)| token)
        .collect();
    // A token that a record for another launch shares (a policy key's) is listed for each.
    stale.retain(|token| {
        !genuine.iter().any(|(known, record)| {
            known == token && needed.iter().any(|values| fits(record, values))
        })
    });
    stale.sort_unstable();
    stale.dedup();
    stale
}
