//! Which records are really of the secret: a token in the header may be written by anybody, so
//! that one which seems to be for a launch does not mean that the launch will open the volume.

use std::path::Path;

use agent::{
    reseal::{Question, Reply, ask},
    unlock::{SealedRecord, TokenId, VolumeHeader, find_records},
};

use crate::sealer::Sealer;

/// The usable records of a header that whoever holds the secret proves to be genuine. Where
/// nobody does, those of correct form.
pub fn records(
    header: &VolumeHeader,
    socket: &Path,
    key: Option<&Sealer>,
) -> Vec<(TokenId, SealedRecord)> {
    let usable = find_records(header)
        .into_iter()
        .filter_map(|(token, record)| Some((token, record.ok()?)));
    usable
        .filter(|(token, record)| {
            let genuine = match key {
                Some(sealer) => sealer.proves(record),
                None => asked(socket, record),
            };
            if genuine == Some(false) {
                eprintln!("taoboot: record {token} is none of this secret's, or was changed: it does not count");
            }
            genuine != Some(false)
        })
        .collect()
}

/// `None`: nobody answers.
fn asked(socket: &Path, record: &SealedRecord) -> Option<bool> {
    let token = record.record().to_token().ok()?;
    match ask(socket, &Question::Genuine(Box::new(token))) {
        Ok(Reply::Genuine(genuine)) => Some(genuine),
        _ => None,
    }
}
