//! One extend of a PCR.

use std::collections::BTreeMap;

use serde::Serialize;
use tpm::pcr::{Bank, PcrIndex};

/// Where the CPU, SINIT and tboot talk to the TPM.
pub(super) const LOCALITY_CPU: u8 = 4;
pub(super) const LOCALITY_SINIT: u8 = 3;
pub(super) const LOCALITY_TBOOT: u8 = 2;

/// One extend of a PCR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The register.
    #[serde(serialize_with = "pcr_number")]
    pub pcr: PcrIndex,
    /// The locality that extends it: 4 CPU, 3 SINIT, 2 tboot.
    pub locality: u8,
    /// The number in the event log, see [`event_type`].
    pub event_type: u32,
    /// The event's name, or what tboot measures.
    pub name: String,
    /// The file that it measures.
    pub file: Option<String>,
    /// The measured data, for [`event_type::HASH_START`] when known: what TPM_HASH_DATA carries.
    #[serde(serialize_with = "hex_data")]
    pub data: Option<Vec<u8>>,
    /// The digest in each bank that is extended.
    #[serde(serialize_with = "hex_digests")]
    pub digests: BTreeMap<Bank, Vec<u8>>,
}

fn pcr_number<S: serde::Serializer>(pcr: &PcrIndex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(pcr.get())
}

fn hex_data<S: serde::Serializer>(
    data: &Option<Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    data.as_ref().map(hex::encode).serialize(serializer)
}

fn hex_digests<S: serde::Serializer>(
    digests: &BTreeMap<Bank, Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        digests
            .iter()
            .map(|(bank, digest)| (bank, hex::encode(digest))),
    )
}
