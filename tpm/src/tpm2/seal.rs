//! Sealing: the secret goes to the TPM encrypted and comes back wrapped under the storage key. Where its
//! name is known, no other key is sent anything.

use tss_esapi::{
    constants::SessionType,
    structures::{Auth, Public, SensitiveData},
};

use super::{
    Tpm2, blob,
    failure::{answered, in_command, is_refused_session},
    pcr::ATTEMPTS,
    session::Encrypted,
    srk::StorageKey,
};
use crate::{AuthPolicy, AuthValue, Bank, Name, PcrIndex, PcrSet, Sealed, TpmError};

const CREATE: &str = "TPM2_Create";

/// MAX_SYM_DATA: the most that every TPM 2.0 can seal.
pub(super) const MAX_SECRET: usize = 128;

impl Tpm2 {
    pub(super) fn seal_secret(
        &mut self,
        secret: &[u8],
        policy: &AuthPolicy,
        known_srk: Option<&Name>,
        auth: Option<&AuthValue>,
    ) -> Result<Sealed, TpmError> {
        if secret.is_empty() || secret.len() > MAX_SECRET {
            return Err(TpmError::BadParameter(format!(
                "a secret of {} bytes cannot be sealed: 1 to {MAX_SECRET} bytes fit",
                secret.len()
            )));
        }
        self.check_bank(policy)?;
        let shape = blob::Shape::of(auth);
        let template = blob::template(shape.policy(policy), shape).map_err(in_command(CREATE))?;
        let auth = auth
            .map(|auth| Auth::try_from(auth.as_bytes().to_vec()))
            .transpose()
            .map_err(in_command(CREATE))?;
        let secret = SensitiveData::try_from(secret.to_vec()).map_err(in_command(CREATE))?;
        let known = known_srk.cloned().or_else(|| self.known_srk.clone());
        let seal = |tpm: &mut Self, srk: &StorageKey| {
            let mut attempts = 1..ATTEMPTS;
            loop {
                match tpm.try_seal(srk, template.clone(), auth.clone(), secret.clone()) {
                    Err(error) if is_refused_session(&error) && attempts.next().is_some() => {}
                    done => return done,
                }
            }
        };
        // The session is salted to the key that is shown: whoever holds another one reads it all.
        match known {
            Some(name) => self.with_srk_named(&name, seal),
            None => self.with_srk(seal),
        }
    }

    /// What is sealed to a bank that the TPM does not have can never be opened.
    fn check_bank(&mut self, policy: &AuthPolicy) -> Result<(), TpmError> {
        let pcrs = match policy {
            AuthPolicy::Launch(launch) if launch.pcrs().values().bank() != Bank::Sha256 => {
                return Err(TpmError::BadParameter(
                    "these are the values of a TPM 1.2: nothing is sealed to the SHA-1 bank of a TPM 2.0"
                        .to_owned(),
                ));
            }
            AuthPolicy::Launch(launch) => launch.pcrs().pcrs(),
            AuthPolicy::Signed(_) => PcrSet::LAUNCH.with(PcrIndex::LATCH),
        };
        self.read_pcrs(Bank::Sha256, pcrs).map(drop)
    }

    fn try_seal(
        &mut self,
        srk: &StorageKey,
        template: Public,
        auth: Option<Auth>,
        secret: SensitiveData,
    ) -> Result<Sealed, TpmError> {
        let parent = srk.handle;
        self.with_session(
            parent,
            SessionType::Hmac,
            Encrypted::Command,
            |tpm, session| {
                let made = tpm
                    .context
                    .execute_with_session(Some(session), |context| {
                        context.create(parent, template, auth, Some(secret), None, None)
                    })
                    .map_err(answered(CREATE))?;
                Ok(Sealed {
                    public: blob::marshal_public(&made.out_public).map_err(in_command(CREATE))?,
                    private: blob::marshal_private(&made.out_private),
                    parent: srk.name.clone(),
                })
            },
        )
    }
}
