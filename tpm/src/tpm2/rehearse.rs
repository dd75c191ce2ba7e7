//! A rehearsal of unsealing, in whatever state the machine is: everything that the TPM decides before
//! it looks at PCR values. The latch is closed on a booted machine, so that this is all that can be
//! known there before the next boot.

use super::{Tpm2, blob, failure::in_command};
use crate::{Approval, AuthPolicy, Bank, Sealed, TpmError};

impl Tpm2 {
    /// Would this TPM unseal, if the PCRs were the approval's? The storage root key is still the one
    /// that the secret was sealed under, and loads it; it is sealed to this policy; the TPM has the
    /// PCR bank; the signature is the policy key's, and the rollback counter is there and not above
    /// its limit. Where the secret is sealed `with_auth_value`, the TPM is not locked. Nothing is unsealed,
    /// and nothing stays loaded.
    ///
    /// # Errors
    /// What unsealing would fail with.
    pub fn rehearse_unseal(
        &mut self,
        sealed: &Sealed,
        policy: &AuthPolicy,
        approval: &Approval,
        with_auth_value: bool,
    ) -> Result<(), TpmError> {
        let shape = if with_auth_value {
            blob::Shape::WithAuthValue
        } else {
            blob::Shape::Policy
        };
        let (private, public) = blob::parse(sealed, shape)?;
        if public.auth_policy().as_bytes() != shape.policy(policy) {
            return Err(TpmError::NotOurs {
                code: 0,
                reason: "it is sealed to another policy than the record says".into(),
            });
        }
        self.with_srk_named(&sealed.parent, |tpm, srk| {
            let object = tpm.load_sealed(srk.handle, private, public)?;
            tpm.then_flush(object, |_| Ok(()))
        })?;
        if with_auth_value {
            let lockout = self.read_lockout()?;
            if lockout.locked {
                let lockout = Some(lockout);
                return Err(TpmError::LockedOut { lockout });
            }
        }
        let launch = approval.launch();
        self.read_pcrs(Bank::Sha256, launch.pcrs().pcrs())?;
        if let Some(signature) = approval.signature() {
            self.verified(signature, launch)?;
        }
        let Some(counter) = launch.counter() else {
            return Ok(());
        };
        match self.rollback_counter_value(counter.index)? {
            None => Err(TpmError::NoCounter {
                index: counter.index,
            }),
            Some(value) if value > counter.limit => Err(TpmError::Retired {
                index: counter.index,
                limit: counter.limit,
            }),
            Some(_) => Ok(()),
        }
    }

    /// Loads a sealed secret under its parent.
    pub(super) fn load_sealed(
        &mut self,
        parent: tss_esapi::handles::KeyHandle,
        private: tss_esapi::structures::Private,
        public: tss_esapi::structures::Public,
    ) -> Result<tss_esapi::handles::ObjectHandle, TpmError> {
        self.with_password(|context| context.load(parent, private, public))
            .map(Into::into)
            .map_err(in_command("TPM2_Load"))
            .map_err(|failure| {
                if failure.is_about_parameter() {
                    failure.not_ours()
                } else {
                    failure.into()
                }
            })
    }
}
