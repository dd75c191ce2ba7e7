//! Further volumes: those that the boot secret opens beside the one with the sealed records.
//!
//! The TPM is asked once a boot. Each further volume has a keyslot of its own, whose passphrase
//! follows from the same volume secret and the volume's own identity, and a small token that says
//! which keyslot, authenticated with a key of the volume secret.

mod open;
mod token;

pub use open::{FurtherVolumeError, check_further_volume, open_further_volume};
pub use token::{FURTHER_TYPE, FurtherToken, find_further};
