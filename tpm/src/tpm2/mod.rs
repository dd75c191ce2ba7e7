//! TPM 2.0 through tss-esapi.
//!
//! One idea a file: [`open`], [`failure`] (response codes in words), [`pcr`], [`srk`] (the
//! storage root key), [`session`] (salted, encrypted), [`answering`] (nobody else answers), [`seal`], [`unseal`] and [`rehearse`], [`approve`]
//! (the policy session), [`blob`]
//! (the shape of a sealed object), [`attest`] (attestation key and quotes), [`handles`]
//! (nothing that was loaded stays loaded), [`nv`] (NV indices), [`owner`] (the owner's password),
//! [`lockout`] (the defence against dictionary attacks).

mod answering;
mod approve;
mod attest;
mod blob;
mod der;
mod failure;
mod handles;
mod lockout;
mod nv;
mod nv_counter;
mod open;
mod owner;
mod pcr;
mod rehearse;
mod saved_key;
mod seal;
mod session;
mod srk;
mod srk_template;
mod unseal;

use tss_esapi::Context;
use zeroize::Zeroizing;

use crate::{
    Approval, AttestationKey, AuthPolicy, AuthValue, Bank, Lockout, Name, PcrIndex, PcrSet,
    PcrValues, Quote, Sealed, Srk, Tpm, TpmError,
};

/// A TPM 2.0, open for commands.
///
/// Dropping it closes the device. Nothing stays loaded in the TPM between two calls.
pub struct Tpm2 {
    context: Context,
    /// The storage root key that the TPM must have to be believed; see [`answering`].
    known_srk: Option<Name>,
    /// The derived storage root key, saved outside of the TPM: loading takes less than deriving.
    saved_srk: Option<saved_key::SavedKey>,
}

impl Tpm for Tpm2 {
    fn pcr_read(&mut self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError> {
        self.read_pcrs(bank, pcrs)
    }

    fn pcr_event(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        self.extend_all_banks(pcr, data)
    }

    fn pcr_event_read(
        &mut self,
        pcr: PcrIndex,
        data: &[u8],
        bank: Bank,
    ) -> Result<PcrValues, TpmError> {
        self.extend_and_read(pcr, data, bank)
    }

    fn srk(&mut self) -> Result<Srk, TpmError> {
        self.describe_srk()
    }

    fn seal(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
    ) -> Result<Sealed, TpmError> {
        self.seal_secret(secret, policy, known_srk, None)
    }

    fn seal_with_auth(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Sealed, TpmError> {
        self.seal_secret(secret, policy, known_srk, Some(auth))
    }

    fn unseal(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.unseal_secret(sealed, approval, pinned_srk, None)
    }

    fn unseal_with_auth(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.unseal_secret(sealed, approval, pinned_srk, Some(auth))
    }

    fn lockout(&mut self) -> Result<Lockout, TpmError> {
        self.read_lockout()
    }

    fn random(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.random_bytes(length)
    }

    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        self.describe_attestation_key()
    }

    fn quote(
        &mut self,
        qualifying_data: &[u8],
        bank: Bank,
        pcrs: PcrSet,
    ) -> Result<Quote, TpmError> {
        self.quote_pcrs(qualifying_data, bank, pcrs)
    }
}
