//! What is extended.

use std::collections::BTreeMap;

use crate::Bank;

/// One extend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The register.
    pub pcr: u8,
    /// From where: 4 the CPU, 3 SINIT, 2 tboot.
    pub locality: u8,
    /// The event's type in the log.
    pub number: u32,
    /// The event's name in the Software Development Guide, or what tboot measures.
    pub name: String,
    /// The digest in each bank that is extended.
    pub digests: BTreeMap<Bank, Vec<u8>>,
}
