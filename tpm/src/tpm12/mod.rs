//! TPM 1.2: an own codec and client, since no library for it is left.
//!
//! One idea a file: [`transport`] (device or simulator), [`codec`] (headers and fields), [`frame`] (a command as it is sent), [`auth`]
//! (OIAP, OSAP, ADIP, HMACs), [`client`] (one command, sent and checked), [`nv`] and [`nv_public`]
//! (NV storage), [`capability`] (what the TPM is and has), [`pcr`] (registers and random numbers),
//! [`return_code`] (the error table), [`hostile`] (all of it against a TPM that lies).
//!
//! The firmware starts the TPM up; this client never does.

mod auth;
mod capability;
mod client;
mod codec;
mod error;
mod frame;
pub mod hostile;
mod nv;
mod nv_public;
mod pcr;
#[cfg(test)]
mod recorded;
mod return_code;
pub mod transport;

pub use auth::Secret;
pub use capability::{DictionaryAttack, OwnerFlags, PermanentFlags, Version};
pub use client::Tpm12;
pub use codec::{Malformed, Reader, Response};
pub use error::Tpm12Error;
pub use nv::NvAuth;
pub use nv_public::{Attributes, NvPublic, PcrInfoShort};
pub use return_code::ReturnCode;
