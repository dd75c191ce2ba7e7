//! TPM_Quote2: registers, signed by an identity key, and checked without any TPM.
//!
//! Source: TPM Main, Part 2, section 11.5; Part 3, section 16.5.

use super::{
    Secret, Tpm12, Tpm12Error,
    capability::Version,
    codec::{Bytes20, Malformed, Reader},
    command::{Command, Ordinal, bad_answer},
    hash::sha1,
    nv_public::PcrInfoShort,
    pcr_info::{composite, registers, selection},
    rsa::RsaPublic,
};
use crate::{PcrSet, PcrValues};

const QUOTE2: Ordinal = Ordinal(0x3e, "TPM_Quote2");

/// TPM_TAG_QUOTE_INFO2 and its four letters.
const QUOTE_INFO2: [u8; 6] = [0, 0x36, b'Q', b'U', b'T', b'2'];

/// A quote as the TPM signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote2 {
    /// The registers, their composite hash, and the locality that asked.
    pub registers: PcrInfoShort,
    /// TPM_CAP_VERSION_INFO as it came; empty when it was not asked for.
    pub version: Vec<u8>,
    /// RSA, PKCS #1 1.5, SHA-1.
    pub signature: Vec<u8>,
}

/// Why a quote shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Another key, another question, or changed afterwards.
    #[error("the quote is not signed by this identity key for this question")]
    Signature,
    /// It is over other registers.
    #[error("the quote is over other registers than PCR {expected}")]
    Registers {
        /// Those that were expected.
        expected: PcrSet,
    },
    /// The registers have other values.
    #[error("the registers that were quoted have other values than these")]
    Values,
    /// What it says of the TPM is malformed.
    #[error("what the quote says of the TPM's version is not valid: {0}")]
    Version(Malformed),
}

impl Quote2 {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let quote = Self {
            registers: PcrInfoShort::read(&mut reader)?,
            version: reader.sized("versionInfo")?.to_vec(),
            signature: reader.sized("sig")?.to_vec(),
        };
        reader.finish("sig")?;
        Ok(quote)
    }

    /// Did `identity` sign just these values for the question `external`? Gives what the TPM is, where that was
    /// asked for. `identity` must be known as a TPM's identity key.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(
        &self,
        identity: &RsaPublic,
        external: &Bytes20,
        values: &PcrValues,
    ) -> Result<Option<Version>, QuoteError> {
        let mut info = QUOTE_INFO2.to_vec();
        info.extend(external);
        self.registers.write(&mut info);
        if !identity.has_signed(&sha1(&[&info, &self.version]), &self.signature) {
            return Err(QuoteError::Signature);
        }
        let quoted: Option<&[u8; 3]> = self.registers.selection.as_slice().try_into().ok(); // of another length: others
        if quoted.map(registers) != Some(values.set()) || values.set().is_empty() {
            return Err(QuoteError::Registers {
                expected: values.set(),
            });
        }
        if self.registers.digest != composite(values) {
            return Err(QuoteError::Values);
        }
        if self.version.is_empty() {
            return Ok(None);
        }
        Version::parse(&self.version)
            .map(Some)
            .map_err(QuoteError::Version)
    }
}

impl Tpm12 {
    /// Has a loaded identity key sign these registers for the question `external`, with or without what the
    /// TPM is.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_FAIL` for a wrong secret of the key.
    pub fn quote2(
        &mut self,
        identity: u32,
        secret: &Secret,
        external: &Bytes20,
        pcrs: PcrSet,
        with_version: bool,
    ) -> Result<Quote2, Tpm12Error> {
        let parameters = [&external[..], &selection(pcrs), &[u8::from(with_version)]].concat();
        let handles = [identity];
        let command = Command::new(QUOTE2, &handles, &parameters);
        let answer = self.run_proving(command, &[secret])?;
        Quote2::parse(&answer.parameters).map_err(bad_answer(QUOTE2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_cut_off_nowhere() {
        let mut bytes = Vec::new();
        PcrInfoShort::localities(1).write(&mut bytes);
        bytes.extend([0, 0, 0, 2, 7, 7]);
        bytes.extend([0, 0, 0, 1, 9]);
        let quote = Quote2::parse(&bytes).unwrap();
        assert_eq!((quote.version, quote.signature), (vec![7, 7], vec![9]));
        for end in 0..bytes.len() {
            assert!(Quote2::parse(&bytes[..end]).is_err());
        }
    }
}
