//! TPM 1.2: an own codec and client, since no library for it is left.
//!
//! One idea a file. What is sent: [`transport`] (device or simulator), [`codec`] (headers and fields),
//! [`frame`] and [`command`], [`auth`] (OIAP, OSAP, ADIP, HMACs) with [`hash`], [`client`] (one command, sent and
//! checked), [`transport_session`] and [`wrapped`] (encrypted commands that only the known TPM answers).
//! What is asked for: [`nv`] and [`nv_public`] (NV storage), [`capability`] (what the TPM is and has),
//! [`pcr`] (registers and random numbers), [`handles`], [`srk`], [`ownership`], [`key`], [`rsa`], [`seal`] with
//! [`pcr_info`], [`identity`], [`quote`], [`counter`]. [`retry`]: a TPM that is busy. On top: [`known`] ([`crate::Tpm`] for a TPM whose
//! storage root key is known). [`return_code`] is the error table, [`hostile`] all of it against a TPM
//! that lies.
//!
//! The firmware starts the TPM up; this client never does. Nor does it clear it.

mod auth;
mod capability;
mod client;
mod codec;
mod command;
mod counter;
mod error;
mod frame;
mod handles;
mod hash;
pub mod hostile;
mod identity;
mod key;
mod known;
mod known_error;
mod nv;
mod nv_public;
mod ownership;
mod pcr;
mod pcr_info;
mod quote;
#[cfg(test)]
mod recorded;
mod retry;
mod return_code;
mod rsa;
mod seal;
mod srk;
mod storage_key;
pub mod transport;
mod transport_session;
mod wrapped;

pub use auth::Secret;
pub use capability::{DictionaryAttack, OwnerFlags, PermanentFlags, Version};
pub use client::Tpm12;
pub use codec::{Malformed, Reader, Response};
pub use command::Resource;
pub use counter::CounterValue;
pub use error::Tpm12Error;
pub use identity::{CHALLENGE_LEN, Identity, challenge};
pub use key::{KeyUsage, WrappedKey};
pub use known::KnownTpm12;
pub use nv::NvAuth;
pub use nv_public::{Attributes, NvPublic, PcrInfoShort};
pub use pcr_info::{LOCALITY_ZERO, PcrInfoLong, composite};
pub use quote::{Quote2, QuoteError};
pub use return_code::ReturnCode;
pub use rsa::RsaPublic;
pub use seal::{MAX_SEALED, SealedBlob};
pub use srk::SrkSpelling;
pub use storage_key::{SrkSecret, StorageKey};
