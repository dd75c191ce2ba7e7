//! The encrypted volume: which one it is, its passphrase, its records.

pub mod add;
pub mod genuine;
pub mod list;
pub mod passphrase;
pub mod pin;
pub mod records;
pub mod root_volume;
pub mod sentences;
pub mod several;
pub mod wipe;
