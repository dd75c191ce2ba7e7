//! A TPM 2.0 in memory for tests (feature `simulated`): registers, sealing to values, a rollback
//! counter, quotes, and failures on demand.
//!
//! It decides as the real one does: `tests/all/simulated.rs` runs the same operations against
//! swtpm and compares what comes of each. It protects nothing: its keys come from a number.
//!
//! ```
//! use tpm::{Bank, PcrIndex, PcrPolicy, PcrSet, Tpm, simulated::SimulatedTpm};
//!
//! let mut tpm = SimulatedTpm::new(1);
//! tpm.launch(b"SINIT", &[(18, [7; 32])]);
//! let values = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH.with(PcrIndex::LATCH))?;
//! let policy = PcrPolicy::new(values).ok_or("no SHA-256 values")?;
//!
//! let sealed = tpm.seal(b"secret", &policy.clone().into(), None)?;
//! assert_eq!(*tpm.unseal(&sealed, &policy.clone().into(), None)?, b"secret");
//!
//! tpm.pcr_event(PcrIndex::LATCH, b"closed")?;
//! assert!(tpm.unseal(&sealed, &policy.into(), None).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attest;
mod counters;
mod failures;
mod guesses;
mod keys;
mod registers;
mod sealing;

use zeroize::Zeroizing;

use crate::{
    Approval, AttestationKey, AuthPolicy, AuthValue, Bank, Lockout, Name, PcrIndex, PcrSet,
    PcrValues, Quote, Sealed, Srk, Tpm, TpmError,
};

pub use failures::Call;

use counters::Counters;
use failures::Failures;
use guesses::Guesses;
use keys::Keys;
use registers::Registers;

/// The most that one call hands out, as of a real TPM.
const MAX_RANDOM: usize = 4096;

/// A TPM 2.0 in memory.
#[derive(Debug)]
pub struct SimulatedTpm {
    keys: Keys,
    registers: Registers,
    counters: Counters,
    failures: Failures,
    guesses: Guesses,
    boots: u32,
}

impl SimulatedTpm {
    /// The TPM with this number: powered on, not launched. The same number gives the same keys.
    pub fn new(number: u8) -> Self {
        Self {
            keys: Keys::new(number),
            registers: Registers::after_reset(),
            counters: Counters::default(),
            failures: Failures::default(),
            guesses: Guesses::default(),
            boots: 1,
        }
    }

    /// Power off and on: registers are reset, keys and counters stay.
    pub fn reboot(&mut self) {
        self.registers = Registers::after_reset();
        self.boots = self.boots.saturating_add(1);
    }

    /// A dynamic launch: registers 17 to 22 are zero, then 17 is extended with the hash of
    /// `hash_data`, then each of `extends` is done in the SHA-256 bank.
    pub fn launch(&mut self, hash_data: &[u8], extends: &[(u8, [u8; 32])]) {
        self.registers.launch(hash_data, extends);
    }

    /// The next `call` fails with this error and does nothing. More of them are used in turn.
    pub fn fail_next(&mut self, call: Call, error: TpmError) {
        self.failures.add(call, error);
    }

    /// Forgets all wrong authorization values, as with the lockout password.
    pub const fn clear_lockout(&mut self) {
        self.guesses.clear();
    }

    /// Defines the rollback counter and counts once, as [`crate::Tpm2`] does.
    ///
    /// # Errors
    /// [`TpmError::Command`] where the index exists.
    pub fn rollback_counter_create(&mut self, index: u32) -> Result<u64, TpmError> {
        self.counters.create(index)
    }

    /// Adds one to the rollback counter, for good, and gives the new value.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] where there is none.
    pub fn rollback_counter_raise(&mut self, index: u32) -> Result<u64, TpmError> {
        self.counters.raise(index)
    }

    /// The rollback counter's value; `None` where there is none.
    pub fn rollback_counter_value(&self, index: u32) -> Option<u64> {
        self.counters.value(index)
    }

    /// Deletes the rollback counter. One that is defined afterwards begins above it.
    pub fn rollback_counter_delete(&mut self, index: u32) {
        self.counters.delete(index);
    }
}

impl Tpm for SimulatedTpm {
    fn pcr_read(&mut self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError> {
        self.failures.due(Call::PcrRead)?;
        self.registers.read(bank, pcrs)
    }

    fn pcr_event(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        self.failures.due(Call::PcrEvent)?;
        self.registers.event(pcr, data)
    }

    fn pcr_event_read(
        &mut self,
        pcr: PcrIndex,
        data: &[u8],
        bank: Bank,
    ) -> Result<PcrValues, TpmError> {
        self.failures.due(Call::PcrEvent)?;
        self.registers.event(pcr, data)?;
        self.registers.read(bank, PcrSet::default().with(pcr))
    }

    fn srk(&mut self) -> Result<Srk, TpmError> {
        self.failures.due(Call::Srk)?;
        Ok(Srk {
            name: self.keys.storage_root(),
            persistent: None,
        })
    }

    fn seal(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
    ) -> Result<Sealed, TpmError> {
        sealing::check_known(&self.keys, known_srk)?;
        self.failures.due(Call::Seal)?;
        sealing::seal(&mut self.keys, secret, policy, None)
    }

    fn seal_with_auth(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Sealed, TpmError> {
        sealing::check_known(&self.keys, known_srk)?;
        self.failures.due(Call::Seal)?;
        sealing::seal(&mut self.keys, secret, policy, Some(auth))
    }

    fn unseal(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.failures.due(Call::Unseal)?;
        let policy = sealing::check(&self.keys, sealed, pinned_srk, false)?;
        sealing::satisfy(policy, approval, false, &self.registers, &self.counters)?;
        sealing::open(&self.keys, sealed)
    }

    fn unseal_with_auth(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.failures.due(Call::Unseal)?;
        let policy = sealing::check(&self.keys, sealed, pinned_srk, true)?;
        sealing::satisfy(policy, approval, true, &self.registers, &self.counters)?;
        self.guesses
            .judge(sealing::has_auth(&self.keys, sealed, auth))?;
        sealing::open(&self.keys, sealed)
    }

    fn lockout(&mut self) -> Result<Lockout, TpmError> {
        Ok(self.guesses.lockout())
    }

    fn random(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.failures.due(Call::Random)?;
        if length > MAX_RANDOM {
            return Err(TpmError::BadParameter(format!(
                "{length} random bytes are more than {MAX_RANDOM}"
            )));
        }
        Ok(Zeroizing::new(self.keys.random(length)))
    }

    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        self.failures.due(Call::AttestationKey)?;
        self.keys.attestation()
    }

    fn quote(
        &mut self,
        qualifying_data: &[u8],
        bank: Bank,
        pcrs: PcrSet,
    ) -> Result<Quote, TpmError> {
        self.failures.due(Call::Quote)?;
        let values = self.registers.read(bank, pcrs)?;
        attest::quote(&self.keys, qualifying_data, &values, self.boots)
    }
}
