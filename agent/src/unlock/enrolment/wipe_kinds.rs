//! Removes keyslots and tokens by their kind, and never the last way in.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    editor::Editor,
    error::EnrolmentError,
    kinds::{Holding, Kind, holdings},
    volume_lock::VolumeLock,
    wipe::Wiped,
};
use crate::unlock::{find_records::TokenId, header::VolumeHeader};

/// Removes every keyslot of these kinds with its tokens. A keyslot goes first, and then its tokens open
/// nothing.
///
/// # Errors
/// There is nothing of the kinds, or what remains would not open the volume without this machine. Nothing is
/// removed then.
pub fn wipe_kinds(device: &Path, kinds: &BTreeSet<Kind>) -> Result<Wiped, EnrolmentError> {
    VolumeHeader::read(device)?;
    let _lock = VolumeLock::acquire(device)?;
    let header = VolumeHeader::read(device)?;
    let all = holdings(&header);
    let (doomed, kept): (Vec<&Holding>, Vec<&Holding>) = all
        .iter()
        .partition(|holding| kinds.contains(&holding.kind));
    if doomed.is_empty() {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        return Err(EnrolmentError::NoneOfKind {
            device: device.into(),
            kinds: names.join(", "),
        });
    }
    check_way_in(device, &doomed, &kept)?;
    let mut wiped = Wiped {
        keyslots: doomed
            .iter()
            .filter_map(|holding| holding.keyslot)
            .collect(),
        ..Wiped::default()
    };
    let needed: BTreeSet<TokenId> = kept.iter().flat_map(|kept| kept.tokens.clone()).collect();
    let tokens: BTreeSet<TokenId> = doomed.iter().flat_map(|held| held.tokens.clone()).collect();
    wiped.tokens = tokens.difference(&needed).copied().collect();
    let mut editor = Editor::open(device)?;
    for keyslot in &wiped.keyslots {
        editor.remove_keyslot(*keyslot)?;
    }
    for token in &wiped.tokens {
        editor.remove_token(*token)?;
    }
    Ok(wiped)
}

/// Whatever may be a person's goes only where a keyslot remains that is a person's as far as its tokens say: a
/// record is worth nothing on another machine, nor after the TPM was cleared. A keyslot that is used by its
/// number only is nobody's way in, and may have been somebody's before it was marked.
fn check_way_in(
    device: &Path,
    doomed: &[&Holding],
    kept: &[&Holding],
) -> Result<(), EnrolmentError> {
    let persons = |holding: &&Holding| {
        holding.keyslot.is_some() && holding.kind.is_a_persons() && !holding.ignored
    };
    let opens = |holding: &&Holding| {
        holding.keyslot.is_some() && ![Kind::Unbound, Kind::Leftover].contains(&holding.kind)
    };
    let may_go = doomed
        .iter()
        .any(|holding| holding.keyslot.is_some() && holding.kind.may_be_a_persons());
    let remains = if may_go {
        kept.iter().any(persons)
    } else {
        kept.iter().any(opens)
    };
    if remains {
        Ok(())
    } else {
        Err(EnrolmentError::LastWayIn(PathBuf::from(device)))
    }
}
