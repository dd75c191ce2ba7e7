//! The sealed records in a volume's header, each judged against that header.

use std::fmt;

use serde::Serialize;

use super::{
    header::VolumeHeader,
    record::{RecordError, SealedRecord, TOKEN_TYPE},
};

/// Number of a LUKS2 token, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TokenId(pub u32);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The records of a volume, in the order of their tokens; each with its reason if it cannot
/// be used with this header.
pub fn find_records(header: &VolumeHeader) -> Vec<(TokenId, Result<SealedRecord, RecordError>)> {
    let volume = header.check();
    let tokens = header.metadata().tokens.iter();
    tokens
        .filter(|(_, token)| token.kind == TOKEN_TYPE)
        .map(|(number, token)| {
            let record = SealedRecord::from_token(&token.json).and_then(|record| {
                let found = volume
                    .as_ref()
                    .map_err(|e| RecordError::Damaged(e.to_string()))?;
                if let Some((what, enrolled, found)) = record.volume().first_difference(found) {
                    return Err(RecordError::OtherVolume {
                        what,
                        enrolled,
                        found,
                    });
                }
                header
                    .check_keyslot(record.keyslot())
                    .map_err(|error| RecordError::Keyslot(error.to_string()))?;
                Ok(record)
            });
            (TokenId(*number), record)
        })
        .collect()
}
