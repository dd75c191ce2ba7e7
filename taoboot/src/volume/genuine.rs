//! Which records are really of the secret: a token in the header may be written by anybody, so
//! that one which seems to be for a launch does not mean that the launch will open the volume.

use std::{collections::BTreeMap, path::Path};

use agent::{
    reseal::{Question, Reply, ask},
    unlock::{CheckedHeader, RecordError, SealedRecord, TokenId, find_records},
};

use crate::reseal::sealer::Sealer;

/// What is known of records, by their text.
#[derive(Default)]
pub struct Genuine(BTreeMap<String, bool>);

impl Genuine {
    /// The usable records of a header that whoever holds the secret proves to be genuine. Where
    /// nobody does, those of correct form.
    pub fn records(
        &mut self,
        header: &CheckedHeader,
        socket: &Path,
        key: Option<&Sealer>,
    ) -> Vec<(TokenId, SealedRecord)> {
        let usable = find_records(header)
            .into_iter()
            .filter_map(|(token, record)| Some((token, record.ok()?)));
        usable
            .filter(|(token, record)| self.is(*token, record, socket, key))
            .collect()
    }

    fn is(
        &mut self,
        token: TokenId,
        record: &SealedRecord,
        socket: &Path,
        key: Option<&Sealer>,
    ) -> bool {
        let Ok(json) = record.record().to_token() else {
            return false;
        };
        let text = json.to_string();
        if let Some(known) = self.0.get(&text) {
            return *known;
        }
        let proved = match key {
            Some(sealer) => sealer.proves(record),
            None => match ask(socket, &Question::Genuine(Box::new(json))) {
                Ok(Reply::Genuine(genuine)) => Some(genuine),
                // Nobody answers.
                _ => None,
            },
        };
        let genuine = proved.unwrap_or(true);
        if !genuine {
            eprintln!(
                "taoboot: record {token} does not belong to this secret, or was changed: it is ignored"
            );
        }
        self.0.insert(text, genuine);
        genuine
    }
}

/// What the resident agent says of each record. Nothing where no agent answers, or where it holds
/// another volume's secret: what it knows nothing of is not forged for that.
pub fn told(
    records: &[(TokenId, Result<SealedRecord, RecordError>)],
    socket: &Path,
) -> BTreeMap<TokenId, bool> {
    let nothing = BTreeMap::new();
    let Ok(Reply::Holds(secret)) = ask(socket, &Question::Which) else {
        return nothing;
    };
    let mut told = BTreeMap::new();
    let mut is_its_volume = false;
    for (token, record) in records {
        let Ok(record) = record else { continue };
        let Ok(json) = record.record().to_token() else {
            continue;
        };
        let Ok(Reply::Genuine(genuine)) = ask(socket, &Question::Genuine(Box::new(json))) else {
            return nothing;
        };
        is_its_volume |= genuine || record.secret_id() == secret;
        told.insert(*token, genuine);
    }
    match is_its_volume {
        true => told,
        false => nothing,
    }
}
