//! One extend of a PCR.

use std::collections::BTreeMap;

use tpm::pcr::{Bank, PcrIndex};

/// One extend of a PCR by tboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The register.
    pub pcr: PcrIndex,
    /// What tboot measures.
    pub name: String,
    /// The file that it measures.
    pub file: Option<String>,
    /// The digest in each bank that is extended.
    pub digests: BTreeMap<Bank, Vec<u8>>,
}
