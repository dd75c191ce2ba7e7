//! Which TPM, and opening it.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use lcp::nv::{NvStorage, tpm12::Storage12, tpm20::Storage20};
use tpm::{
    family::{self, Family},
    tpm12::Tpm12,
};

/// `--tpm`: which TPM it must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Whichever there is.
    #[default]
    Auto,
    /// That one.
    Exactly(Family),
}

/// A word that `--tpm` does not know.
#[derive(Debug, thiserror::Error)]
#[error("there is no TPM {0:?}: auto, 2.0 or 1.2")]
pub struct UnknownTpm(String);

impl FromStr for Wanted {
    type Err = UnknownTpm;

    fn from_str(text: &str) -> Result<Self, UnknownTpm> {
        match text {
            "auto" => Ok(Self::Auto),
            "1.2" => Ok(Self::Exactly(Family::Tpm12)),
            "2.0" => Ok(Self::Exactly(Family::Tpm20)),
            _ => Err(UnknownTpm(text.to_owned())),
        }
    }
}

/// The family as people write it.
pub const fn name(family: Family) -> &'static str {
    match family {
        Family::Tpm12 => "1.2",
        Family::Tpm20 => "2.0",
    }
}

/// Opens the TPM at `tcti`, or this machine's.
pub fn open(wanted: Wanted, tcti: Option<&str>) -> Result<Box<dyn NvStorage>> {
    let address = match tcti {
        Some(address) => address.to_owned(),
        None => family::local_address().context(
            "no TPM on this machine: there is neither /dev/tpmrm0 nor /dev/tpm0; switch it on in \
             the firmware's setup, or give another one with --tcti",
        )?,
    };
    let found = family::detect(&address)?;
    if let Wanted::Exactly(wanted) = wanted
        && wanted != found
    {
        bail!(
            "{address} is a TPM {}, but --tpm {} was asked for",
            name(found),
            name(wanted)
        );
    }
    Ok(match found {
        Family::Tpm12 => Box::new(Storage12::new(Tpm12::open(&address)?)),
        Family::Tpm20 => Box::new(Storage20::open(&address)?),
    })
}
