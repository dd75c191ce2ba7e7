//! The attestation key and quotes made with it.
//!
//! The key is a primary of the endorsement hierarchy: restricted ECDSA P-256 with SHA-256,
//! fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, empty policy, empty
//! `unique`. The same seed and template give the same key at every boot, until the TPM's
//! endorsement seed is changed; a TPM2_Clear does not change it. Being restricted it signs
//! only what the TPM itself made, so that no caller can have a quote signed that it wrote.

use tss_esapi::{
    handles::KeyHandle,
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        reserved_handles::Hierarchy,
    },
    structures::{
        AttestInfo, Data, EccPoint, EccScheme, HashScheme, Public, PublicBuilder,
        PublicEccParametersBuilder, Signature, SignatureScheme,
    },
    traits::Marshall,
};

use super::{
    Tpm2, der,
    failure::in_command,
    pcr::{selected, selection},
    srk_template::{name_of, primary_attributes},
};
use crate::{AttestationKey, Bank, PcrSet, Quote, TpmError};

const CREATE_PRIMARY: &str = "TPM2_CreatePrimary";
const QUOTE: &str = "TPM2_Quote";
/// A SHA-256 digest, which every TPM takes as qualifying data.
const MAX_QUALIFYING_DATA: usize = 32;

impl Tpm2 {
    pub(super) fn describe_attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        self.with_attestation_key(|_, _, public| {
            let bad = || TpmError::BadAnswer {
                command: CREATE_PRIMARY,
                reason: "the attestation key is not a P-256 key".into(),
            };
            let Public::Ecc { unique, .. } = public else {
                return Err(bad());
            };
            let spki =
                der::p256_spki(unique.x().as_bytes(), unique.y().as_bytes()).ok_or_else(bad)?;
            Ok(AttestationKey {
                spki,
                name: name_of(public, CREATE_PRIMARY)?,
            })
        })
    }

    pub(super) fn quote_pcrs(
        &mut self,
        qualifying_data: &[u8],
        bank: Bank,
        pcrs: PcrSet,
    ) -> Result<Quote, TpmError> {
        if qualifying_data.len() > MAX_QUALIFYING_DATA {
            return Err(TpmError::BadParameter(format!(
                "{} bytes of qualifying data: at most {MAX_QUALIFYING_DATA} are signed",
                qualifying_data.len()
            )));
        }
        let data = Data::try_from(qualifying_data.to_vec()).map_err(in_command(QUOTE))?;
        let list = selection(bank, pcrs)?;
        self.with_attestation_key(|tpm, key, _| {
            let (attest, signature) = tpm
                .with_password(|context| {
                    context.quote(key, data.clone(), SignatureScheme::Null, list)
                })
                .map_err(in_command(QUOTE))?;
            let bad = |reason: &str| TpmError::BadAnswer {
                command: QUOTE,
                reason: reason.into(),
            };
            let AttestInfo::Quote { info } = attest.attested() else {
                return Err(bad("it is not a quote"));
            };
            // A bank or register that the TPM lacks is left out in silence.
            let quoted = selected(info.pcr_selection(), bank);
            if let Some(pcr) = pcrs.iter().find(|index| !quoted.contains(*index)) {
                return Err(TpmError::NoSuchPcr { bank, pcr });
            }
            if attest.extra_data() != &data {
                return Err(bad("it quotes other qualifying data"));
            }
            let Signature::EcDsa(ecdsa) = signature else {
                return Err(bad("the signature is not ECDSA"));
            };
            let signature = der::ecdsa_signature(
                ecdsa.signature_r().as_bytes(),
                ecdsa.signature_s().as_bytes(),
            )
            .ok_or_else(|| bad("the signature is longer than one of P-256"))?;
            Ok(Quote {
                attest: attest.marshall().map_err(in_command(QUOTE))?,
                signature,
            })
        })
    }

    fn with_attestation_key<T>(
        &mut self,
        work: impl FnOnce(&mut Self, KeyHandle, &Public) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let template = template().map_err(in_command(CREATE_PRIMARY))?;
        let (key, public) = self.create_primary(Hierarchy::Endorsement, template)?;
        self.then_flush(key.into(), |tpm| work(tpm, key, &public))
    }
}

fn template() -> tss_esapi::Result<Public> {
    let parameters = PublicEccParametersBuilder::new()
        .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(
            tss_esapi::structures::KeyDerivationFunctionScheme::Null,
        )
        .with_is_signing_key(true)
        .with_restricted(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(primary_attributes().with_sign_encrypt(true).build()?)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}
