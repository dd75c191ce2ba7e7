//! Removes records, with the keyslots that no other record uses.

use std::{collections::BTreeSet, path::Path};

use super::{
    editor::Editor, error::EnrolmentError, pending::find_leftovers, volume_lock::VolumeLock,
};
use crate::unlock::{
    find_records::TokenId,
    further::FURTHER_TYPE,
    header::VolumeHeader,
    metadata::{Kdf, Keyslot, Metadata},
    record::{APPROVAL_TYPE, TOKEN_TYPE},
};

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WipeRequest {
    /// The records, signed launches, or a further volume's enrolment, of these tokens.
    Records(Vec<TokenId>),
    /// All of them.
    All,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiped {
    /// Tokens.
    pub tokens: Vec<TokenId>,
    /// Keyslots.
    pub keyslots: Vec<u32>,
    /// Keyslots that a record named, but that taoboot did not make: left alone.
    pub spared: Vec<u32>,
}

/// Removes records and their keyslots, and what interrupted runs left behind. `force` allows
/// that no keyslot remains.
///
/// The keyslot goes first: from then on the record opens nothing. A record is untrusted, so
/// a keyslot that it names is only removed if it is of the kind taoboot makes.
pub fn wipe(device: &Path, request: WipeRequest, force: bool) -> Result<Wiped, EnrolmentError> {
    VolumeHeader::read(device)?;
    let _lock = VolumeLock::acquire(device)?;
    let header = VolumeHeader::read(device)?;
    let metadata = header.metadata();
    let mut wiped = Wiped::default();
    let mut kept_keyslots = BTreeSet::new();
    let mut named = BTreeSet::new();
    for (number, token) in &metadata.tokens {
        if ![TOKEN_TYPE, APPROVAL_TYPE, FURTHER_TYPE].contains(&token.kind.as_str()) {
            continue;
        }
        let wanted = match &request {
            WipeRequest::Records(ids) => ids.contains(&TokenId(*number)),
            WipeRequest::All => true,
        };
        if wanted {
            wiped.tokens.push(TokenId(*number));
            named.extend(token.keyslots.iter().copied());
        } else {
            kept_keyslots.extend(token.keyslots.iter().copied());
        }
    }
    if let WipeRequest::Records(ids) = &request
        && let Some(missing) = ids.iter().find(|id| !wiped.tokens.contains(id))
    {
        return Err(EnrolmentError::NoSuchRecord {
            device: device.into(),
            number: missing.0,
        });
    }
    for keyslot in named.difference(&kept_keyslots) {
        let list = if is_ours(metadata, *keyslot) {
            &mut wiped.keyslots
        } else {
            &mut wiped.spared
        };
        list.push(*keyslot);
    }
    for leftover in find_leftovers(&header) {
        wiped.tokens.push(leftover.token);
        wiped.keyslots.extend(leftover.keyslot);
    }
    wiped.keyslots.sort_unstable();
    wiped.keyslots.dedup();
    let doomed: BTreeSet<u32> = wiped.keyslots.iter().copied().collect();
    let remains = metadata
        .keyslots
        .iter()
        .any(|(number, slot)| matches!(slot, Keyslot::Luks2(_)) && !doomed.contains(number));
    if !remains && !doomed.is_empty() && !force {
        return Err(EnrolmentError::LastKeyslot(device.into()));
    }
    let mut editor = Editor::open(device)?;
    for keyslot in &wiped.keyslots {
        editor.remove_keyslot(*keyslot)?;
    }
    for token in &wiped.tokens {
        editor.remove_token(*token)?;
    }
    Ok(wiped)
}

/// PBKDF2-SHA256 with 1000 to 2023 iterations: no person's passphrase is stored like that.
pub(super) fn is_ours(metadata: &Metadata, keyslot: u32) -> bool {
    match metadata.keyslots.get(&keyslot) {
        Some(Keyslot::Luks2(slot)) => match &slot.kdf {
            Kdf::Pbkdf2 {
                hash, iterations, ..
            } => hash == "sha256" && (1000..=2023).contains(iterations),
            _ => false,
        },
        _ => false,
    }
}
