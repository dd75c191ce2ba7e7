//! What a sealed secret says of registers and localities: TPM_PCR_SELECTION, TPM_PCR_COMPOSITE and
//! TPM_PCR_INFO_LONG.
//!
//! Source: TPM Main, Part 2, sections 8.1, 8.2 and 8.4.

use super::{
    codec::{Bytes20, Malformed, Reader},
    hash::sha1,
};
use crate::{PcrIndex, PcrSet, PcrValues};

/// TPM_TAG_PCR_INFO_LONG.
const TAG: u16 = 0x0006;
/// A TPM 1.2 of a PC has 24 registers.
const SELECTION_LEN: u16 = 3;

/// Localities, a bit each; Linux talks to the TPM from locality 0.
pub const LOCALITY_ZERO: u8 = 0x01;

/// TPM_PCR_SELECTION: sizeOfSelect and the bit map.
pub(super) fn selection(pcrs: PcrSet) -> Vec<u8> {
    [&SELECTION_LEN.to_be_bytes()[..], &pcrs.select_bytes()].concat()
}

fn read_selection(what: &str, reader: &mut Reader<'_>) -> Result<PcrSet, Malformed> {
    let length = reader.u16(what)?;
    if length != SELECTION_LEN {
        return Err(Malformed(format!(
            "{what} has {length} bytes, expected {SELECTION_LEN}"
        )));
    }
    Ok(registers(&reader.array(what)?))
}

/// The registers of a bit map.
pub(super) fn registers(map: &[u8; 3]) -> PcrSet {
    let [first, second, third] = *map;
    let bits = u32::from_le_bytes([first, second, third, 0]);
    (0..24u8)
        .filter(|number| bits & (1 << number) != 0)
        .filter_map(|number| PcrIndex::try_from(number).ok()) // each is below 24
        .collect()
}

/// The composite hash of these values: what a TPM 1.2 compares with and quotes.
pub fn composite(values: &PcrValues) -> Bytes20 {
    let all: Vec<u8> = values
        .iter()
        .flat_map(|(_, value)| value)
        .copied()
        .collect();
    let length = u32::try_from(all.len()).unwrap_or(u32::MAX);
    sha1(&[&selection(values.set()), &length.to_be_bytes(), &all])
}

/// TPM_PCR_INFO_LONG: the state in which something was sealed, and the one in which it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrInfoLong {
    /// The locality that sealed it, a bit.
    pub creation_locality: u8,
    /// The localities that may unseal it, a bit each.
    pub release_localities: u8,
    /// The registers whose state at sealing is noted.
    pub creation: PcrSet,
    /// The registers that decide.
    pub release: PcrSet,
    /// Composite hash at sealing.
    pub creation_digest: Bytes20,
    /// Composite hash that is asked for.
    pub release_digest: Bytes20,
}

impl PcrInfoLong {
    /// For these values, from Linux only. The TPM fills in what it was at sealing.
    pub fn new(values: &PcrValues) -> Self {
        Self {
            creation_locality: LOCALITY_ZERO,
            release_localities: LOCALITY_ZERO,
            creation: values.set(),
            release: values.set(),
            creation_digest: [0; 20],
            release_digest: composite(values),
        }
    }

    /// Does it ask for the same as the other?
    pub fn releases_as(&self, other: &Self) -> bool {
        (self.release, self.release_localities, self.release_digest)
            == (
                other.release,
                other.release_localities,
                other.release_digest,
            )
    }

    /// Reads one that fills `bytes`.
    ///
    /// # Errors
    /// What is cut off, too much, or has an impossible value.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag("TPM_PCR_INFO_LONG", TAG)?;
        let info = Self {
            creation_locality: reader.u8("localityAtCreation")?,
            release_localities: reader.u8("localityAtRelease")?,
            creation: read_selection("creationPCRSelection", &mut reader)?,
            release: read_selection("releasePCRSelection", &mut reader)?,
            creation_digest: reader.array("digestAtCreation")?,
            release_digest: reader.array("digestAtRelease")?,
        };
        reader.finish("digestAtRelease")?;
        Ok(info)
    }

    /// Its 54 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            &TAG.to_be_bytes()[..],
            &[self.creation_locality, self.release_localities],
            &selection(self.creation),
            &selection(self.release),
            &self.creation_digest,
            &self.release_digest,
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bank;
    use proptest::prelude::*;

    #[test]
    fn the_composite_is_a_hash_over_selection_length_and_values() {
        let mut values = PcrValues::new(Bank::Sha1);
        for pcr in [15, 17] {
            let index = PcrIndex::try_from(pcr).unwrap();
            values.insert(index, vec![pcr; 20]).unwrap();
        }
        let expected = sha1(&[&[0, 3, 0, 0x80, 0x02, 0, 0, 0, 40], &[15; 20], &[17; 20]]);
        assert_eq!(composite(&values), expected);
        assert!(PcrInfoLong::new(&values).releases_as(&PcrInfoLong::new(&values)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            localities: [u8; 2], creation: [u8; 3], release: [u8; 3], digests: [[u8; 20]; 2]
        ) {
            let info = PcrInfoLong {
                creation_locality: localities[0],
                release_localities: localities[1],
                creation: registers(&creation),
                release: registers(&release),
                creation_digest: digests[0],
                release_digest: digests[1],
            };
            let bytes = info.to_bytes();
            prop_assert_eq!(bytes.len(), 54);
            prop_assert_eq!(info.release.select_bytes(), release);
            prop_assert_eq!(PcrInfoLong::parse(&bytes), Ok(info.clone()));
            for end in 0..bytes.len() {
                prop_assert!(PcrInfoLong::parse(&bytes[..end]).is_err());
            }
            let other = PcrInfoLong { release_localities: !info.release_localities, ..info.clone() };
            prop_assert!(!info.releases_as(&other));
        }
    }
}
