//! Versions of lists.

/// Version of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListVersion {
    /// 0x0100, TPM 1.2.
    V1_0,
    /// 0x0200.
    V2_0,
    /// 0x0201.
    V2_1,
    /// 0x0300.
    V3_0,
}

impl ListVersion {
    /// Every version.
    pub const ALL: [Self; 4] = [Self::V1_0, Self::V2_0, Self::V2_1, Self::V3_0];

    /// The number in the file.
    pub const fn number(self) -> u16 {
        match self {
            Self::V1_0 => 0x0100,
            Self::V2_0 => 0x0200,
            Self::V2_1 => 0x0201,
            Self::V3_0 => 0x0300,
        }
    }

    /// The version of a number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.number() == number)
    }
}

/// A text that is not a version of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version of a list: 1.0, 2.0, 2.1 or 3.0")]
pub struct VersionError(pub String);

impl std::str::FromStr for ListVersion {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| {
                version.to_string() == text || format!("{:#06x}", version.number()) == text
            })
            .ok_or_else(|| VersionError(text.to_owned()))
    }
}

impl std::fmt::Display for ListVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [minor, major] = self.number().to_le_bytes();
        write!(f, "{major}.{minor}")
    }
}
