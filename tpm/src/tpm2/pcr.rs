//! PCR values: read, extend, and the selections that name them.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tss_esapi::{
    constants::CapabilityType,
    handles::PcrHandle,
    interface_types::{algorithm::HashingAlgorithm, session_handles::AuthSession},
    structures::{
        CapabilityData, Digest, DigestValues, PcrSelectionList, PcrSelectionListBuilder, PcrSlot,
    },
};
use zeroize::Zeroizing;

use super::{
    Tpm2,
    failure::{answered, in_command, is_refused_session},
};
use crate::{Bank, PcrIndex, PcrSet, PcrValues, TpmError};

/// TPM2_PCR_Read answers with at most eight values (TPML_DIGEST).
const VALUES_PER_READ: usize = 8;
/// How often to start over when a PCR changes between two reads or during an unseal.
pub(super) const ATTEMPTS: u32 = 8;
/// The most that one call hands out: more would only be a mistake.
const MAX_RANDOM: usize = 4096;

const READ: &str = "TPM2_PCR_Read";

impl Tpm2 {
    /// One TPM2_PCR_Read for up to eight registers. More take several: then all are read again
    /// if the TPM's update counter moved, so that the values belong together.
    pub(super) fn read_pcrs(&mut self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError> {
        if pcrs.is_empty() {
            return Ok(PcrValues::new(bank));
        }
        self.in_answering_session(|tpm, session| tpm.read_all(session, bank, pcrs))
    }

    fn read_all(
        &mut self,
        session: AuthSession,
        bank: Bank,
        pcrs: PcrSet,
    ) -> Result<PcrValues, TpmError> {
        'attempt: for _ in 0..ATTEMPTS {
            let mut values = PcrValues::new(bank);
            let mut left = pcrs;
            let mut first_counter = None;
            while !left.is_empty() {
                let counter = self.read_some(session, bank, &mut left, &mut values)?;
                if *first_counter.get_or_insert(counter) != counter {
                    continue 'attempt;
                }
            }
            return Ok(values);
        }
        Err(TpmError::PcrsKeepChanging { attempts: ATTEMPTS })
    }

    /// Moves what one TPM2_PCR_Read returns from `left` to `values`; returns the update counter.
    fn read_some(
        &mut self,
        session: AuthSession,
        bank: Bank,
        left: &mut PcrSet,
        values: &mut PcrValues,
    ) -> Result<u32, TpmError> {
        let wanted: PcrSet = left.iter().take(VALUES_PER_READ).collect();
        let selection = selection(bank, wanted)?;
        let (counter, returned, digests) = self
            .context
            .execute_with_session(Some(session), |context| context.pcr_read(selection))
            .map_err(answered(READ))?;
        let returned = selected(&returned, bank);
        let bad = |reason: String| TpmError::BadAnswer {
            command: READ,
            reason,
        };
        if let Some(extra) = returned.iter().find(|index| !wanted.contains(*index)) {
            return Err(bad(format!("PCR {extra} was not requested")));
        }
        if let (true, Some(pcr)) = (returned.is_empty(), wanted.iter().next()) {
            return Err(TpmError::NoSuchPcr { bank, pcr });
        }
        if returned.iter().count() != digests.len() {
            return Err(bad(format!("{} values for PCR {returned}", digests.len())));
        }
        for (index, digest) in returned.iter().zip(digests.value()) {
            values
                .insert(index, digest.as_bytes().to_vec())
                .map_err(|e| bad(e.to_string()))?;
            *left = left.without(index);
        }
        Ok(counter)
    }

    /// TPM2_PCR_Extend with the digest of `data` in the SHA-1, SHA-256, SHA-384 and SHA-512
    /// banks, which is what TPM2_PCR_Event does.
    pub(super) fn extend_all_banks(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        self.in_answering_session(|tpm, session| tpm.event(session, pcr, data))
    }

    /// The same, and the register's value afterwards.
    pub(super) fn extend_and_read(
        &mut self,
        pcr: PcrIndex,
        data: &[u8],
        bank: Bank,
    ) -> Result<PcrValues, TpmError> {
        // A session is refused with its first command or not at all: nothing is extended twice.
        self.in_answering_session(|tpm, session| {
            tpm.event(session, pcr, data)?;
            tpm.read_all(session, bank, PcrSet::default().with(pcr))
        })
    }

    /// A TPM ignores the digest of a bank that is not allocated, but refuses an algorithm that
    /// it does not know: only then it is asked which banks there are. Banks of other
    /// algorithms (SM3, SHA-3) stay as they are; no policy here names them.
    fn event(&mut self, session: AuthSession, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        const EVERY: [HashingAlgorithm; 4] = [
            HashingAlgorithm::Sha1,
            HashingAlgorithm::Sha256,
            HashingAlgorithm::Sha384,
            HashingAlgorithm::Sha512,
        ];
        match self.extend(session, pcr, data, &EVERY) {
            Err(error @ TpmError::Command { .. }) if !is_refused_session(&error) => {}
            done => return done,
        }
        // A failed command extended nothing, so that it can be repeated with fewer digests. That it
        // failed anybody may have said; which banks there are only the TPM can say.
        let active = self.active_banks(session)?;
        let known: Vec<_> = EVERY
            .into_iter()
            .filter(|bank| active.contains(bank))
            .collect();
        self.extend(session, pcr, data, &known)
    }

    fn extend(
        &mut self,
        session: AuthSession,
        pcr: PcrIndex,
        data: &[u8],
        banks: &[HashingAlgorithm],
    ) -> Result<(), TpmError> {
        const EXTEND: &str = "TPM2_PCR_Extend";
        let mut digests = DigestValues::new();
        for bank in banks {
            let digest = match bank {
                HashingAlgorithm::Sha1 => Sha1::digest(data).to_vec(),
                HashingAlgorithm::Sha256 => Sha256::digest(data).to_vec(),
                HashingAlgorithm::Sha384 => Sha384::digest(data).to_vec(),
                _ => Sha512::digest(data).to_vec(),
            };
            digests.set(*bank, Digest::try_from(digest).map_err(in_command(EXTEND))?);
        }
        // ESYS_TR_PCR0 to ESYS_TR_PCR31 are 0 to 31.
        let handle = PcrHandle::try_from(u32::from(pcr.get())).map_err(in_command(EXTEND))?;
        self.context
            .execute_with_session(Some(session), |context| context.pcr_extend(handle, digests))
            .map_err(answered(EXTEND))
    }

    /// The hash algorithms of the banks in which at least one PCR is allocated.
    fn active_banks(&mut self, session: AuthSession) -> Result<Vec<HashingAlgorithm>, TpmError> {
        const CAPABILITY: &str = "TPM2_GetCapability";
        let (data, _more) = self
            .context
            .execute_with_session(Some(session), |context| {
                context.get_capability(CapabilityType::AssignedPcr, 0, 16)
            })
            .map_err(answered(CAPABILITY))?;
        let CapabilityData::AssignedPcr(banks) = data else {
            return Err(TpmError::BadAnswer {
                command: CAPABILITY,
                reason: "it is not about PCR banks".into(),
            });
        };
        let in_use = banks
            .get_selections()
            .iter()
            .filter(|bank| !bank.is_empty());
        Ok(in_use.map(|bank| bank.hashing_algorithm()).collect())
    }

    /// TPM2_GetRandom, as often as needed. The bytes cross the bus in the clear: mix them with
    /// the kernel's before they become a secret.
    pub(super) fn random_bytes(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        const RANDOM: &str = "TPM2_GetRandom";
        if length > MAX_RANDOM {
            return Err(TpmError::BadParameter(format!(
                "{length} random bytes were requested; at most {MAX_RANDOM} are given at once"
            )));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        while bytes.len() < length {
            // At most one digest of the largest bank comes back, whatever is asked for.
            let left = length
                .saturating_sub(bytes.len())
                .min(Bank::Sha256.digest_len());
            let some = self.context.get_random(left).map_err(in_command(RANDOM))?;
            if some.is_empty() || some.len() > left {
                return Err(TpmError::BadAnswer {
                    command: RANDOM,
                    reason: format!("{} bytes where {left} were requested", some.len()),
                });
            }
            bytes.extend_from_slice(&some);
        }
        Ok(bytes)
    }
}

/// The library's form of a set of PCRs of one bank.
pub(super) fn selection(bank: Bank, pcrs: PcrSet) -> Result<PcrSelectionList, TpmError> {
    let slots = pcrs
        .iter()
        .map(|index| PcrSlot::try_from(1u32 << index.get()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(in_command("PCR selection"))?;
    Ok(PcrSelectionListBuilder::new()
        .with_selection(algorithm(bank), &slots)
        .build()
        .map_err(in_command("PCR selection"))?)
}

/// The registers of `bank` in the library's form; those above 23 do not count.
pub(super) fn selected(list: &PcrSelectionList, bank: Bank) -> PcrSet {
    list.get_selections()
        .iter()
        .filter(|selection| selection.hashing_algorithm() == algorithm(bank))
        .flat_map(|selection| selection.selected())
        .filter_map(|slot| u8::try_from(u32::from(slot).trailing_zeros()).ok())
        .filter_map(|number| PcrIndex::try_from(number).ok())
        .collect()
}

fn algorithm(bank: Bank) -> HashingAlgorithm {
    match bank {
        Bank::Sha1 => HashingAlgorithm::Sha1,
        Bank::Sha256 => HashingAlgorithm::Sha256,
        Bank::Sha384 => HashingAlgorithm::Sha384,
    }
}
