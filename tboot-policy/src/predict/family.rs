//! Which TPM a launch is of.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// TPM 1.2.
    #[serde(rename = "1.2")]
    Tpm12,
    /// TPM 2.0.
    #[serde(rename = "2.0")]
    Tpm20,
}

/// A word that is not a TPM's version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a TPM version: 1.2 or 2.0")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        match text {
            "1.2" => Ok(Self::Tpm12),
            "2.0" => Ok(Self::Tpm20),
            _ => Err(UnknownFamily(text.to_owned())),
        }
    }
}
