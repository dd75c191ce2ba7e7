//! Platform configuration registers: indices, sets, banks and values.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A hash bank of a TPM 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bank {
    /// TPM_ALG_SHA1, 20 bytes.
    Sha1,
    /// TPM_ALG_SHA256, 32 bytes.
    Sha256,
    /// TPM_ALG_SHA384, 48 bytes.
    Sha384,
}

impl Bank {
    /// Length of one value in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        })
    }
}

/// A name or number that is not a PCR, a set of them, or a bank.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PcrSyntaxError(String);

impl FromStr for Bank {
    type Err = PcrSyntaxError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            _ => Err(PcrSyntaxError(format!(
                "{text:?} is not a PCR bank: sha1, sha256 or sha384"
            ))),
        }
    }
}

/// The number of one register, 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PcrIndex(u8);

impl PcrIndex {
    /// The latch: in its reset state before the key is released, extended right after.
    pub const LATCH: Self = Self(15);

    /// The register's number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for PcrIndex {
    type Error = PcrSyntaxError;
    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number < 24 {
            Ok(Self(number))
        } else {
            Err(PcrSyntaxError(format!(
                "PCR {number} does not exist: 0 to 23"
            )))
        }
    }
}

impl From<PcrIndex> for u8 {
    fn from(index: PcrIndex) -> Self {
        index.0
    }
}

impl fmt::Display for PcrIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of registers; text form `17,18,19`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PcrSet(u32);

impl PcrSet {
    /// PCR 17, 18 and 19: what a measured launch fills.
    pub const LAUNCH: Self = Self(0b111 << 17);

    /// The same set with one more register.
    #[must_use]
    pub const fn with(self, index: PcrIndex) -> Self {
        Self(self.0 | 1 << index.0)
    }

    /// The same set with one register fewer.
    #[must_use]
    pub const fn without(self, index: PcrIndex) -> Self {
        Self(self.0 & !(1 << index.0))
    }

    /// Is the register in the set?
    pub const fn contains(self, index: PcrIndex) -> bool {
        self.0 & 1 << index.0 != 0
    }

    /// No register at all?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The registers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = PcrIndex> {
        (0..24)
            .map(PcrIndex)
            .filter(move |index| self.contains(*index))
    }

    /// The three bytes of TPMS_PCR_SELECTION.pcrSelect: bit n of byte n/8 is PCR n.
    pub const fn select_bytes(self) -> [u8; 3] {
        let bytes = self.0.to_le_bytes();
        [bytes[0], bytes[1], bytes[2]]
    }
}

impl FromIterator<PcrIndex> for PcrSet {
    fn from_iter<I: IntoIterator<Item = PcrIndex>>(indices: I) -> Self {
        indices.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for PcrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, index) in self.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{index}")?;
        }
        Ok(())
    }
}

impl FromStr for PcrSet {
    type Err = PcrSyntaxError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut set = Self::default();
        for part in text.split([',', '+']) {
            let number: u8 = part.trim().parse().map_err(|_| {
                PcrSyntaxError(format!(
                    "{part:?} in {text:?} is not a PCR number (0 to 23)"
                ))
            })?;
            let index = PcrIndex::try_from(number)?;
            if set.contains(index) {
                return Err(PcrSyntaxError(format!(
                    "PCR {index} is named twice in {text:?}"
                )));
            }
            set = set.with(index);
        }
        Ok(set)
    }
}

/// A register that is needed has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {bank} value for PCR {pcr}: the policy needs it")]
pub struct MissingPcr {
    /// The register.
    pub pcr: PcrIndex,
    /// The bank.
    pub bank: Bank,
}

/// Values of registers of one bank. Each value has the bank's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrValues {
    bank: Bank,
    values: BTreeMap<PcrIndex, Vec<u8>>,
}

impl PcrValues {
    /// No value yet.
    pub const fn new(bank: Bank) -> Self {
        Self {
            bank,
            values: BTreeMap::new(),
        }
    }

    /// Sets one value; refused when its length is not the bank's.
    ///
    /// # Errors
    /// A value whose length is not the bank's.
    pub fn insert(&mut self, index: PcrIndex, value: Vec<u8>) -> Result<(), PcrSyntaxError> {
        if value.len() != self.bank.digest_len() {
            return Err(PcrSyntaxError(format!(
                "PCR {index} has {} bytes where a {} value has {}",
                value.len(),
                self.bank,
                self.bank.digest_len()
            )));
        }
        self.values.insert(index, value);
        Ok(())
    }

    /// The bank.
    pub const fn bank(&self) -> Bank {
        self.bank
    }

    /// One value.
    pub fn get(&self, index: PcrIndex) -> Option<&[u8]> {
        self.values.get(&index).map(Vec::as_slice)
    }

    /// The registers that have a value.
    pub fn set(&self) -> PcrSet {
        self.values.keys().copied().collect()
    }

    /// Only the values of these registers; the register that has none is the error.
    ///
    /// # Errors
    /// [`MissingPcr`] when a register has no value.
    pub fn select(&self, pcrs: PcrSet) -> Result<Self, MissingPcr> {
        let value = |pcr| {
            let value = self.values.get(&pcr).ok_or(MissingPcr {
                pcr,
                bank: self.bank,
            })?;
            Ok((pcr, value.clone()))
        };
        Ok(Self {
            bank: self.bank,
            values: pcrs.iter().map(value).collect::<Result<_, _>>()?,
        })
    }

    /// Registers and values in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (PcrIndex, &[u8])> {
        self.values
            .iter()
            .map(|(index, value)| (*index, value.as_slice()))
    }
}
