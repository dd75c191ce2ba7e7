//! [`Tpm`] for a TPM 1.2 whose storage root key is known.
//!
//! The key is known from its owner at enrolment and from the sealed record at boot. Everything goes
//! through a transport session that only the TPM with this key can take part in, so that what the trait
//! promises of HMACs and secrecy holds here, too. What a TPM 1.2 cannot do is refused with a sentence
//! ([`TpmError::NotWithTpm12`]).

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::Session,
    hash::sha1,
    known_error::failed,
    pcr_info::PcrInfoLong,
    rsa::RsaPublic,
    seal::SealedBlob,
    srk::SRK_HANDLE,
    storage_key::{SrkSecret, StorageKey},
};
use crate::{
    Approval, AttestationKey, AuthPolicy, AuthValue, Bank, LaunchPolicy, Lockout, Name, PcrIndex,
    PcrSet, PcrValues, Quote, Sealed, Srk, Tpm, TpmError,
};

/// What a PIN's value is hashed with to be a TPM 1.2's 20 bytes.
const AUTH_VALUE: &[u8] = b"taoboot TPM 1.2 authorization v1";

/// A TPM 1.2, open for commands, whose storage root key is known. Nothing stays loaded or open in it
/// when this is dropped.
pub struct KnownTpm12 {
    tpm: Tpm12,
    key: StorageKey,
    /// Proves the key's secret; opened when it is needed.
    session: Option<Session>,
}

impl KnownTpm12 {
    /// Over an open TPM. Whether it has this key shows with the first command.
    pub const fn new(tpm: Tpm12, key: StorageKey) -> Self {
        Self {
            tpm,
            key,
            session: None,
        }
    }

    /// For what a record holds: the key is the one that it was sealed under.
    ///
    /// # Errors
    /// [`TpmError::NotOurs`] for a record that was not sealed to a TPM 1.2, or to one whose storage root
    /// key has a secret of its own; [`TpmError::WrongSrk`] where the record contradicts itself.
    pub fn for_record(tpm: Tpm12, sealed: &Sealed) -> Result<Self, TpmError> {
        Ok(Self::new(tpm, StorageKey::from_record(sealed)?))
    }

    /// Opens what commands go through from now on, unless it is open.
    fn ready(&mut self) -> Result<(), Tpm12Error> {
        if self.tpm.wrapping.is_some() {
            return Ok(());
        }
        self.close_session();
        let mut session = self.tpm.open_oiap(&self.key.secret.bytes())?;
        self.tpm.wrap(&self.key.public, &mut session)?;
        self.session = Some(session);
        Ok(())
    }

    fn close_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.tpm.close(&session);
        }
    }

    /// Commands outside of the trait, which go through the transport session like all others.
    ///
    /// # Errors
    /// What `call` gives, in the words that all TPMs share; [`TpmError::OtherSrk`],
    /// [`TpmError::ForgedAnswer`].
    pub fn within<T>(
        &mut self,
        call: impl FnOnce(&mut Tpm12) -> Result<T, Tpm12Error>,
    ) -> Result<T, TpmError> {
        self.ready()
            .and_then(|()| call(&mut self.tpm))
            .map_err(|error| failed(error, &self.key.public))
    }

    fn known(&self, expected: Option<&Name>) -> Result<(), TpmError> {
        let found = self.key.public.name();
        match expected {
            Some(expected) if *expected != found => Err(TpmError::WrongSrk {
                expected: expected.clone(),
                found,
            }),
            _ => Ok(()),
        }
    }

    fn seal_secret(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: &Secret,
    ) -> Result<Sealed, TpmError> {
        self.known(known_srk)?;
        let AuthPolicy::Launch(launch) = policy else {
            return Err(TpmError::NotWithTpm12(SIGNED));
        };
        let info = release(launch)?;
        let srk = self.key.secret.bytes();
        let blob = self.within(|tpm| tpm.seal(&srk, auth, &info, secret))?;
        Ok(Sealed {
            public: self.key.to_bytes(),
            private: blob.as_bytes().to_vec(),
            parent: self.key.public.name(),
        })
    }

    fn unseal_secret(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: &Secret,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        if approval.signature().is_some() {
            return Err(TpmError::NotWithTpm12(SIGNED));
        }
        let expected = release(approval.launch())?;
        self.known(pinned_srk)?;
        self.known(Some(&sealed.parent))?;
        let not_ours = |reason: String| TpmError::NotOurs { code: 0, reason };
        let blob =
            SealedBlob::parse(&sealed.private).map_err(|error| not_ours(error.to_string()))?;
        if !blob.info().releases_as(&expected) {
            return Err(not_ours(
                "it was sealed to other PCR values or localities than its record says".to_owned(),
            ));
        }
        self.ready()
            .map_err(|error| failed(error, &self.key.public))?;
        let session = match self.session.take() {
            Some(session) => Ok(session),
            None => self.tpm.open_oiap(&self.key.secret.bytes()),
        };
        session
            .and_then(|session| self.tpm.unseal_in(session, auth, &blob))
            .map_err(|error| failed(error, &self.key.public))
    }
}

impl Drop for KnownTpm12 {
    fn drop(&mut self) {
        self.tpm.unwrap_commands();
        self.close_session();
    }
}

const SIGNED: &str =
    "it knows no policy that a key can sign (TPM2_PolicyAuthorize); seal to each launch";
const COUNTED: &str = "it knows no policy with a rollback counter (TPM2_PolicyNV)";
const SHA1_ONLY: &str = "its registers have SHA-1 values only";
const OTHER_QUOTES: &str =
    "it signs with an RSA identity key that its owner makes, and not with a P-256 key";

/// What a launch asks for in a TPM 1.2's words: its registers, and Linux's locality.
fn release(launch: &LaunchPolicy) -> Result<PcrInfoLong, TpmError> {
    if launch.counter().is_some() {
        return Err(TpmError::NotWithTpm12(COUNTED));
    }
    let values = launch.pcrs().values();
    only_sha1(values.bank())?;
    Ok(PcrInfoLong::new(values))
}

const fn only_sha1(bank: Bank) -> Result<(), TpmError> {
    match bank {
        Bank::Sha1 => Ok(()),
        Bank::Sha256 | Bank::Sha384 => Err(TpmError::NotWithTpm12(SHA1_ONLY)),
    }
}

/// A PIN's value as a TPM 1.2 takes it.
fn of_value(auth: &AuthValue) -> Secret {
    Secret::from_bytes(sha1(&[AUTH_VALUE, auth.as_bytes()]))
}

/// The values of registers that were read one by one.
fn values(read: Vec<(PcrIndex, [u8; 20])>) -> Result<PcrValues, TpmError> {
    let mut values = PcrValues::new(Bank::Sha1);
    for (pcr, value) in read {
        values
            .insert(pcr, value.to_vec())
            .map_err(|error| TpmError::BadParameter(error.to_string()))?;
    }
    Ok(values)
}

impl Tpm for KnownTpm12 {
    fn bank(&self) -> Bank {
        Bank::Sha1
    }

    fn pcr_read(&mut self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError> {
        only_sha1(bank)?;
        values(self.within(|tpm| {
            pcrs.iter()
                .map(|pcr| Ok((pcr, tpm.pcr_read(pcr.get().into())?)))
                .collect()
        })?)
    }

    fn pcr_event(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        self.within(|tpm| tpm.pcr_extend(pcr.get().into(), &sha1(&[data])))
            .map(drop)
    }

    /// The answer to the extension itself is the register's new value.
    fn pcr_event_read(
        &mut self,
        pcr: PcrIndex,
        data: &[u8],
        bank: Bank,
    ) -> Result<PcrValues, TpmError> {
        only_sha1(bank)?;
        let value = self.within(|tpm| tpm.pcr_extend(pcr.get().into(), &sha1(&[data])))?;
        values(vec![(pcr, value)])
    }

    /// The one that is known. A TPM 1.2 does not show its key to anybody but its owner.
    fn srk(&mut self) -> Result<Srk, TpmError> {
        self.within(|_| Ok(()))?;
        Ok(Srk {
            name: self.key.public.name(),
            persistent: Some(SRK_HANDLE),
        })
    }

    fn seal(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
    ) -> Result<Sealed, TpmError> {
        self.seal_secret(secret, policy, known_srk, &Secret::well_known())
    }

    fn unseal(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.unseal_secret(sealed, approval, pinned_srk, &Secret::well_known())
    }

    fn seal_with_auth(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Sealed, TpmError> {
        self.seal_secret(secret, policy, known_srk, &of_value(auth))
    }

    fn unseal_with_auth(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.unseal_secret(sealed, approval, pinned_srk, &of_value(auth))
    }

    /// What the TPM counts for the storage root key. It does not say when it forgets.
    fn lockout(&mut self) -> Result<Lockout, TpmError> {
        let defence = self.within(Tpm12::srk_dictionary_attack)?;
        Ok(Lockout {
            locked: defence.active,
            failed: defence.count.into(),
            most: defence.threshold.into(),
            interval: 0,
        })
    }

    fn random(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.within(|tpm| tpm.random(length))
    }

    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        Err(TpmError::NotWithTpm12(OTHER_QUOTES))
    }

    fn quote(
        &mut self,
        _qualifying_data: &[u8],
        _bank: Bank,
        _pcrs: PcrSet,
    ) -> Result<Quote, TpmError> {
        Err(TpmError::NotWithTpm12(OTHER_QUOTES))
    }
}

impl StorageKey {
    /// Asks the owner's TPM for its storage root key, and finds out how its secret is spelled.
    ///
    /// # Errors
    /// What the TPM says; [`Tpm12Error::BadParameter`] where the secret is none that everybody knows: then
    /// it must be given.
    pub fn of_owner(
        tpm: &mut Tpm12,
        owner: &Secret,
        given: Option<Secret>,
    ) -> Result<Self, Tpm12Error> {
        let public: RsaPublic = tpm.srk_public(owner)?;
        let secret = match given {
            Some(secret) => SrkSecret::Given(secret),
            None => match tpm.find_srk_spelling(&public)? {
                Some(spelling) => SrkSecret::Spelled(spelling),
                None => {
                    return Err(Tpm12Error::BadParameter(
                        "the storage root key of this TPM 1.2 has a password of its own: it must be given"
                            .to_owned(),
                    ));
                }
            },
        };
        Ok(Self { public, secret })
    }
}
