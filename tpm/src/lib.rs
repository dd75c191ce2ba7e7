//! One interface over the machine's TPM: PCRs, sealing to a launch, quotes.
//!
//! [`Tpm`] is what the agent and the tools call. [`Tpm2`] implements it for TPM 2.0
//! through tss-esapi; [`tpm12`] is an own client for TPM 1.2, of which [`tpm12::KnownTpm12`] implements
//! it; [`family`] tells the two apart, and
//! [`nv`] is what an NV index of a TPM 2.0 is, and `simulated` (a feature) is a TPM 2.0 in memory
//! for tests. Everything that comes back from a TPM is untrusted
//! input: it is bounded, checked and turned into the types of [`pcr`], [`sealed`] and the others.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![warn(clippy::missing_errors_doc)]

pub mod approval;
mod auth_value;
pub mod error;
pub mod family;
mod lockout;
pub mod nv;
pub mod pcr;
pub mod pcr_text;
pub mod policy;
pub mod response_code;
pub mod sealed;
#[cfg(feature = "simulated")]
pub mod simulated;
#[cfg(feature = "swtpm")]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a fixture of tests, which reads nothing from outside"
)]
pub mod swtpm;
pub mod tpm12;
#[cfg(feature = "tpm2")]
mod tpm2;
pub mod write_lock;

pub use approval::{
    Approval, AuthPolicy, CounterLimit, LaunchPolicy, PolicySignature, PolicySigner,
};
pub use auth_value::{AuthValue, with_auth_value};
pub use error::TpmError;
pub use lockout::Lockout;
pub use pcr::{Bank, MissingPcr, PcrIndex, PcrSet, PcrValues};
pub use policy::PcrPolicy;
pub use sealed::{Name, NameSyntaxError, Sealed};
#[cfg(feature = "tpm2")]
pub use tpm2::Tpm2;

use zeroize::Zeroizing;

/// Which storage root key a TPM offers, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srk {
    /// TPM name of the key: algorithm and digest of its public area.
    pub name: Name,
    /// The persistent handle it was found at; `None` when it was derived for this call.
    pub persistent: Option<u32>,
}

/// The public half of an attestation key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    /// DER SubjectPublicKeyInfo of the P-256 key.
    pub spki: Vec<u8>,
    /// TPM name of the key.
    pub name: Name,
}

/// A quote over PCRs, as the TPM signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The marshalled TPMS_ATTEST structure (TPM 2.0 Library, Part 2, 10.12.8).
    pub attest: Vec<u8>,
    /// ECDSA signature over SHA-256 of `attest`, DER `SEQUENCE { r, s }`.
    pub signature: Vec<u8>,
}

/// What taoboot asks of a TPM.
pub trait Tpm {
    /// The bank in which launches are approved: SHA-256; what a TPM 1.2 has is SHA-1.
    fn bank(&self) -> Bank {
        Bank::Sha256
    }

    /// Reads the given PCRs of one bank. All of them are read or it is an error. The answer has the
    /// TPM's HMAC.
    ///
    /// # Errors
    /// [`TpmError::NoSuchPcr`]; [`TpmError::PcrsKeepChanging`]; or what the TPM says.
    fn pcr_read(&mut self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError>;

    /// Extends one PCR in every active bank with `H_bank(data)`, as TPM2_PCR_Event does.
    ///
    /// # Errors
    /// What the TPM says: registers 17 to 22 cannot be extended from this locality.
    fn pcr_event(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError>;

    /// [`Tpm::pcr_event`], then reads the register back in one bank: both in one session, so that
    /// nobody can drop the one and answer the other.
    ///
    /// # Errors
    /// As [`Tpm::pcr_event`] and [`Tpm::pcr_read`].
    fn pcr_event_read(
        &mut self,
        pcr: PcrIndex,
        data: &[u8],
        bank: Bank,
    ) -> Result<PcrValues, TpmError>;

    /// The storage root key: persistent 0x81000001 if it is a usable storage key,
    /// otherwise the ECC P-256 primary of the owner hierarchy, derived anew.
    ///
    /// # Errors
    /// [`TpmError::HierarchyPassword`] where it would have to be derived; or what the TPM says.
    fn srk(&mut self) -> Result<Srk, TpmError>;

    /// Seals `secret` (at most 128 bytes) under the SRK, to be released only for `policy`.
    /// `known_srk` is the only parent that is accepted when given; another key is sent nothing. Without
    /// it, whoever answers for the TPM on its bus with a key of his own is given the secret.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] for a secret of another length; [`TpmError::NoSuchPcr`] where the
    /// policy's bank is off; [`TpmError::WrongSrk`]; or what the TPM says.
    fn seal(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
    ) -> Result<Sealed, TpmError>;

    /// Releases what [`Tpm::seal`] sealed, for an approval that satisfies its policy. `pinned_srk` is the only parent that will be
    /// accepted when given. The session is salted to the parent and the response encrypted.
    ///
    /// # Errors
    /// [`TpmError::WrongSrk`] and [`TpmError::NotOurs`] for what this TPM did not seal;
    /// [`TpmError::PolicyFailed`], [`TpmError::Retired`], [`TpmError::NoCounter`] and
    /// [`TpmError::BadSignature`] where the machine is not in the approved state; or what the TPM says.
    fn unseal(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError>;

    /// [`Tpm::seal`], with an authorization value that is needed beside the policy. The TPM counts wrong
    /// ones ([`Tpm::lockout`]).
    ///
    /// # Errors
    /// As [`Tpm::seal`].
    fn seal_with_auth(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Sealed, TpmError>;

    /// Releases what [`Tpm::seal_with_auth`] sealed, and nothing that was sealed without a value. The
    /// value is in the key of the session's HMAC; it does not cross the bus.
    ///
    /// # Errors
    /// As [`Tpm::unseal`]; [`TpmError::WrongAuthValue`], which counts, but only where the machine is in
    /// the approved state; [`TpmError::LockedOut`].
    fn unseal_with_auth(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError>;

    /// How many wrong authorization values the TPM has counted, and whether it takes any. For words:
    /// the answer has no HMAC.
    ///
    /// # Errors
    /// What the TPM says.
    fn lockout(&mut self) -> Result<Lockout, TpmError>;

    /// Random bytes from the TPM's generator.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] for more than 4096 bytes; or what the TPM says.
    fn random(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, TpmError>;

    /// The machine's attestation key: a restricted P-256 signing primary, the same each boot.
    ///
    /// # Errors
    /// [`TpmError::HierarchyPassword`]; or what the TPM says.
    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError>;

    /// Signs the PCRs of `bank` with the attestation key; `qualifying_data` is at most 32 bytes.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] for more of it; [`TpmError::NoSuchPcr`]; or what the TPM says.
    fn quote(
        &mut self,
        qualifying_data: &[u8],
        bank: Bank,
        pcrs: PcrSet,
    ) -> Result<Quote, TpmError>;
}
