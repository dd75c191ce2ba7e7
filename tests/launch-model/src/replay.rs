//! PCR values: each is the hash of the old value and the digest.

use std::collections::BTreeMap;

use crate::{Bank, Event};

/// PCR 17 to 22 of a bank after these events; a launch begins with zeros.
pub fn pcrs(events: &[Event], bank: Bank) -> BTreeMap<u8, Vec<u8>> {
    let zeros = vec![0; bank.digest_len()];
    let mut pcrs: BTreeMap<u8, Vec<u8>> = (17..=22).map(|pcr| (pcr, zeros.clone())).collect();
    for event in events {
        // Other registers are not a launch's, and no locality may extend them there.
        let old = pcrs.get_mut(&event.pcr);
        if let (Some(value), Some(digest)) = (old, event.digests.get(&bank)) {
            *value = bank.hash(&[value.as_slice(), digest].concat());
        }
    }
    pcrs
}
