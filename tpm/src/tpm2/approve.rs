//! Shows the TPM an approval: the policy commands of one session, in the order of the digests
//! in [`crate::approval`].

use tss_esapi::{
    handles::NvIndexHandle,
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        reserved_handles::{Hierarchy, NvAuth as Authorizer},
        session_handles::{AuthSession, PolicySession},
    },
    structures::{
        Digest, EccParameter, EccPoint, EccScheme, EccSignature, HashScheme, Nonce, Public,
        PublicBuilder, PublicEccParametersBuilder, Signature, VerifiedTicket,
    },
};

use super::{Tpm2, failure::in_command, pcr::selection};
use crate::{
    Approval, Bank, CounterLimit, PcrPolicy, PolicySignature, PolicySigner, TpmError,
    approval::TPM_EO_UNSIGNED_LE,
};

const POLICY_PCR: &str = "TPM2_PolicyPCR";
const POLICY_NV: &str = "TPM2_PolicyNV";
const POLICY_AUTHORIZE: &str = "TPM2_PolicyAuthorize";
const LOAD_EXTERNAL: &str = "TPM2_LoadExternal";
const VERIFY_SIGNATURE: &str = "TPM2_VerifySignature";

impl Tpm2 {
    /// Brings a fresh policy session to the digest that the secret is sealed to, if the machine
    /// is in the approved state.
    pub(super) fn satisfy(
        &mut self,
        session: AuthSession,
        approval: &Approval,
    ) -> Result<(), TpmError> {
        let policy = PolicySession::try_from(session).map_err(in_command(POLICY_PCR))?;
        let launch = approval.launch();
        // The signature first: as little time as possible between the PCRs and the secret.
        let ticket = match approval.signature() {
            Some(signature) => Some(self.verified(signature, launch)?),
            None => None,
        };
        self.compare_pcrs(policy, launch.pcrs())?;
        if let Some(counter) = launch.counter() {
            self.compare_counter(policy, counter)?;
        }
        let (Some(signature), Some(ticket)) = (approval.signature(), ticket) else {
            return Ok(());
        };
        let digest = Digest::try_from(launch.digest().to_vec());
        let digest = digest.map_err(in_command(POLICY_AUTHORIZE))?;
        let name = signature.signer.name().as_bytes().to_vec();
        let name = name.try_into().map_err(in_command(POLICY_AUTHORIZE))?;
        self.context
            .policy_authorize(policy, digest, policy_ref()?, &name, ticket)
            .map_err(in_command(POLICY_AUTHORIZE))?;
        Ok(())
    }

    /// With the expected digest the TPM refuses here, before the object is touched.
    fn compare_pcrs(&mut self, session: PolicySession, policy: &PcrPolicy) -> Result<(), TpmError> {
        let pcrs = selection(Bank::Sha256, policy.pcrs())?;
        let expected =
            Digest::try_from(policy.pcr_digest().to_vec()).map_err(in_command(POLICY_PCR))?;
        self.context
            .policy_pcr(session, expected, pcrs)
            .map_err(in_command(POLICY_PCR))?;
        Ok(())
    }

    fn compare_counter(
        &mut self,
        session: PolicySession,
        counter: &CounterLimit,
    ) -> Result<(), TpmError> {
        let (handle, _) = self
            .nv_existing(counter.index)
            .map_err(|error| match error {
                TpmError::BadParameter(_) => TpmError::NoCounter {
                    index: counter.index,
                },
                other => other,
            })?;
        let operand = Digest::try_from(counter.operand().to_vec());
        let done = operand
            .map_err(in_command(POLICY_NV))
            .and_then(|operand| self.policy_nv(session, handle, operand))
            .map_err(|failure| {
                if failure.is_policy_comparison() {
                    TpmError::Retired {
                        index: counter.index,
                        limit: counter.limit,
                    }
                } else {
                    failure.into()
                }
            });
        self.then_close(handle, done)
    }

    fn policy_nv(
        &mut self,
        session: PolicySession,
        handle: NvIndexHandle,
        operand: Digest,
    ) -> Result<(), super::failure::Failure> {
        self.with_password(|context| {
            // The library's type of comparisons is in a private module: it is made from the
            // specification's number.
            let operation = TPM_EO_UNSIGNED_LE.try_into()?;
            let authorizer = Authorizer::NvIndex(handle);
            context.policy_nv(session, authorizer, handle, operand, 0, operation)
        })
        .map_err(in_command(POLICY_NV))
    }

    /// The TPM checks the signature itself and gives a ticket for it.
    pub(super) fn verified(
        &mut self,
        signature: &PolicySignature,
        launch: &crate::LaunchPolicy,
    ) -> Result<VerifiedTicket, TpmError> {
        let public = public(&signature.signer).map_err(in_command(LOAD_EXTERNAL))?;
        let parsed = ecdsa(&signature.r_and_s).map_err(in_command(VERIFY_SIGNATURE))?;
        let digest = PolicySigner::signed_digest(launch).to_vec();
        let digest = Digest::try_from(digest).map_err(in_command(VERIFY_SIGNATURE))?;
        let key = self
            .context
            .load_external(None, public, Hierarchy::Owner)
            .map_err(in_command(LOAD_EXTERNAL))?;
        self.then_flush(key.into(), |tpm| {
            tpm.context
                .verify_signature(key, digest, parsed)
                .map_err(in_command(VERIFY_SIGNATURE))
                .map_err(|failure| {
                    if failure.is_bad_signature() {
                        TpmError::BadSignature
                    } else {
                        failure.into()
                    }
                })
        })
    }
}

fn policy_ref() -> Result<Nonce, TpmError> {
    let bytes = PolicySigner::POLICY_REF.to_vec();
    Ok(Nonce::try_from(bytes).map_err(in_command(POLICY_AUTHORIZE))?)
}

/// As [`PolicySigner::name`] has it: another template would be another name.
fn public(signer: &PolicySigner) -> tss_esapi::Result<Public> {
    use tss_esapi::attributes::ObjectAttributesBuilder;
    let (x, y) = signer.coordinates();
    let point = EccPoint::new(
        EccParameter::try_from(x.to_vec())?,
        EccParameter::try_from(y.to_vec())?,
    );
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(
            ObjectAttributesBuilder::new()
                .with_user_with_auth(true)
                .with_sign_encrypt(true)
                .build()?,
        )
        .with_ecc_parameters(
            PublicEccParametersBuilder::new_unrestricted_signing_key(
                EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)),
                EccCurve::NistP256,
            )
            .build()?,
        )
        .with_ecc_unique_identifier(point)
        .build()
}

fn ecdsa(r_and_s: &[u8; 64]) -> tss_esapi::Result<Signature> {
    let (r, s) = r_and_s.split_at(32);
    let signature = EccSignature::create(
        HashingAlgorithm::Sha256,
        EccParameter::try_from(r.to_vec())?,
        EccParameter::try_from(s.to_vec())?,
    )?;
    Ok(Signature::EcDsa(signature))
}
