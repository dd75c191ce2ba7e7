//! The records of a volume, as the subcommands list them.

use agent::unlock::{CheckedHeader, SealedRecord, TokenId, find_records};

/// The usable records.
pub fn usable(header: &CheckedHeader) -> Vec<(TokenId, SealedRecord)> {
    let records = find_records(header).into_iter();
    records
        .filter_map(|(token, record)| Some((token, record.ok()?)))
        .collect()
}

/// Numbers of records, for a sentence.
pub fn numbers(tokens: &[TokenId]) -> String {
    let list: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    list.join(", ")
}
