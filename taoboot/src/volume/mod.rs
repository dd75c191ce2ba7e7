//! The encrypted volume: which one it is, its passphrase, its records.

pub mod genuine;
pub mod passphrase;
pub mod records;
pub mod root_volume;
pub mod wipe;
