//! Making attestations.

use prost::Message;

use crate::{
    keys::{KeyError, SignatureFormat, Signer},
    logic::{Form, Says},
    wire::messages::AttestationMessage,
};

/// What attestations are signed for in the original's format.
pub const SIGNING_CONTEXT: &str = "Tao Attestation Signing Context V1";
/// What attestations are signed for in the strong format.
pub const STRONG_CONTEXT: &str = "taoboot attestation 2";

/// The context that goes with a format.
pub(super) const fn context(format: SignatureFormat) -> &'static str {
    match format {
        SignatureFormat::Original => SIGNING_CONTEXT,
        SignatureFormat::Strong => STRONG_CONTEXT,
    }
}

/// Why no attestation was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attestation could not be signed: {0}")]
pub struct AttestError(#[from] KeyError);

/// Signs a statement in the given format: programs that know nothing else want the
/// original's. `delegation` is the serialized attestation that lets `signer` speak
/// for the statement's speaker; none is needed where the speaker extends the signer.
///
/// # Errors
/// When the key cannot sign.
pub fn attest(
    signer: &Signer,
    format: SignatureFormat,
    statement: Says,
    delegation: Option<Vec<u8>>,
) -> Result<Vec<u8>, AttestError> {
    let serialized_statement = Form::Says(statement).encode();
    let signature = signer.sign_as(format, context(format), &serialized_statement)?;
    let message = AttestationMessage {
        serialized_statement,
        signer_type: "key".to_owned(),
        signer_key: signer.spki().to_vec(),
        signature,
        serialized_delegation: delegation,
        ..AttestationMessage::default()
    };
    Ok(message.encode_to_vec())
}

/// The attestation of a TPM 2.0: its quote with SHA-256 of `serialized_statement` as
/// qualifying data. `attest` is the TPMS_ATTEST, `signature` the DER ECDSA signature and
/// `spki` the public attestation key; `boot_event` is the text that PCR 15 was extended with.
pub fn quoted(
    serialized_statement: Vec<u8>,
    spki: Vec<u8>,
    attest: Vec<u8>,
    signature: Vec<u8>,
    boot_event: String,
) -> Vec<u8> {
    let message = AttestationMessage {
        serialized_statement,
        signer_type: "tpm2".to_owned(),
        signer_key: spki,
        signature,
        tpm2_quote_structure: Some(attest),
        boot_event: Some(boot_event),
        ..AttestationMessage::default()
    };
    message.encode_to_vec()
}
