//! What a TPM 1.2 refuses, in the words that all TPMs share.

use super::{ReturnCode, Tpm12Error, rsa::RsaPublic};
use crate::TpmError;

/// The same failure; `srk` is the storage root key that was expected.
pub(super) fn failed(error: Tpm12Error, srk: &RsaPublic) -> TpmError {
    match error {
        Tpm12Error::NotAuthentic { command } => TpmError::ForgedAnswer { command },
        // Of the storage root key's secret, too, which opens the transport session: whatever it is for.
        Tpm12Error::Refused {
            code: ReturnCode::DEFEND_LOCK_RUNNING,
            ..
        } => TpmError::LockedOut { lockout: None },
        Tpm12Error::Refused {
            command: "TPM_EstablishTransport",
            code: ReturnCode::DECRYPT_ERROR | ReturnCode::FAIL | ReturnCode::BAD_PARAMETER,
        } => TpmError::OtherSrk {
            expected: srk.name(),
        },
        Tpm12Error::Refused {
            command: "TPM_Unseal",
            code,
        } => match code {
            ReturnCode::WRONG_PCR_VALUE => TpmError::PolicyFailed { code: code.0 },
            ReturnCode::AUTH2_FAIL => TpmError::WrongAuthValue { code: code.0 },
            ReturnCode::NOT_SEALED_BLOB
            | ReturnCode::DECRYPT_ERROR
            | ReturnCode::BAD_PARAMETER
            | ReturnCode::INVALID_STRUCTURE => TpmError::NotOurs {
                code: code.0,
                reason: "it is damaged, or another TPM sealed it".to_owned(),
            },
            _ => TpmError::Tpm12Failed(error),
        },
        _ => TpmError::Tpm12Failed(error),
    }
}
