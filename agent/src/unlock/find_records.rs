//! The sealed records in a volume's header, each judged against that header.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    header::CheckedHeader,
    record::{
        APPROVAL_TYPE, ApprovedLaunch, EnrolledRecord, RecordError, SealedRecord, TOKEN_TYPE,
    },
};

/// Number of a LUKS2 token, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenId(pub u32);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The records of a volume, whatever they are sealed to, in the order of their tokens; each
/// with its reason if it cannot be used with this header.
pub fn find_enrolled(
    header: &CheckedHeader,
) -> Vec<(TokenId, Result<EnrolledRecord, RecordError>)> {
    tokens(header, TOKEN_TYPE)
        .map(|(number, json)| {
            let record = EnrolledRecord::from_token(json).and_then(|record| {
                let enrolled = &record.parts().volume;
                if let Some((what, enrolled, found)) = enrolled.first_difference(header.identity())
                {
                    return Err(RecordError::OtherVolume {
                        what,
                        enrolled,
                        found,
                    });
                }
                header
                    .check_keyslot(record.parts().keyslot)
                    .map_err(|error| RecordError::Keyslot(error.to_string()))?;
                Ok(record)
            });
            (number, record)
        })
        .collect()
}

/// The launches that can open the volume, in the order of their tokens: those that records are
/// sealed to, and those that a policy key signed which a record is sealed to. What cannot be
/// used stands with its reason.
pub fn find_records(header: &CheckedHeader) -> Vec<(TokenId, Result<SealedRecord, RecordError>)> {
    let mut found = Vec::new();
    let mut for_signers = Vec::new();
    for (token, record) in find_enrolled(header) {
        match record {
            Ok(record) => match SealedRecord::literal(record.clone()) {
                Some(launch) => found.push((token, Ok(launch))),
                None => for_signers.push((token, record, false)),
            },
            Err(error) => found.push((token, Err(error))),
        }
    }
    for (token, json) in tokens(header, APPROVAL_TYPE) {
        let launch = match ApprovedLaunch::from_json(json) {
            Ok(launch) => launch,
            Err(error) => {
                found.push((token, Err(error)));
                continue;
            }
        };
        let mut known = false;
        for (_, record, used) in &mut for_signers {
            if let Some(launch) = SealedRecord::signed(record.clone(), launch.clone()) {
                found.push((token, Ok(launch)));
                *used = true;
                known = true;
            }
        }
        if !known {
            found.push((token, Err(RecordError::UnknownSigner)));
        }
    }
    let unused = for_signers.into_iter().filter(|(_, _, used)| !used);
    found.extend(unused.map(|(token, _, _)| (token, Err(RecordError::NothingApproved))));
    found.sort_by_key(|(token, _)| *token);
    found
}

fn tokens<'h>(
    header: &'h CheckedHeader,
    kind: &'static str,
) -> impl Iterator<Item = (TokenId, &'h serde_json::Value)> {
    let tokens = header.metadata().tokens.iter();
    tokens
        .filter(move |(_, token)| token.kind == kind)
        .map(|(number, token)| (TokenId(*number), &token.json))
}
