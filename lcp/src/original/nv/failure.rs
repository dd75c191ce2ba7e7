//! How these tools fail: a number (LCP_E_*) for the exit code, and a sentence.

use std::fmt;

use tpm::tpm12::{ReturnCode, Tpm12Error};

/// A failure.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    sentence: String,
}

/// Numbers and names of the failures that occur here.
const NAMES: [(u8, &str); 23] = [
    (1, "LCP_E_INVALID_PARAMETER"),
    (2, "LCP_E_NO_INDEXVALUE"),
    (3, "LCP_E_NO_DATASIZE"),
    (4, "LCP_E_TSS_ERROR"),
    (6, "LCP_E_TPM_BADINDEX"),
    (7, "LCP_E_TPM_BAD_DATASIZE"),
    (8, "LCP_E_TPM_MAXNVWRITES"),
    (9, "LCP_E_NO_AUTH"),
    (11, "LCP_E_TPM_AREA_LOCKED"),
    (13, "LCP_E_NO_PER_VALUE"),
    (15, "LCP_E_AUTH_CONFLICT"),
    (16, "LCP_E_AUTH_FAIL"),
    (17, "LCP_E_OWNER_SET"),
    (18, "LCP_E_TPM_WRONGPCRVALUE"),
    (19, "LCP_E_INVALID_STRUCTURE"),
    (20, "LCP_E_NOWRITE"),
    (21, "LCP_E_TPM_BAD_LOCALITY"),
    (22, "LCP_E_TPM_BAD_PRESENCE"),
    (23, "LCP_E_TPM_DISABLED_CMD"),
    (24, "LCP_E_TPM_NOSPACE"),
    (25, "LCP_E_TPM_NOT_FULLWRITE"),
    (26, "LCP_E_NO_SUCH_PARAMETER"),
    (31, "LCP_E_COMD_INTERNAL_ERR"),
];

/// LCP_E_TSS_ERROR: anything that the TPM or the way to it refused.
const TSS_ERROR: u8 = 4;

impl Failure {
    /// A failure with its number.
    pub fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
        }
    }

    /// LCP_E_INVALID_PARAMETER.
    pub fn parameter(sentence: String) -> Self {
        Self::new(1, sentence)
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// Of a refused read or write, which have numbers of their own for what a TPM says.
    pub fn of_value(error: Tpm12Error) -> Self {
        let code = match error.code().map(|code| code.0) {
            Some(0x01) => 16,
            Some(0x02) => 6,
            Some(0x03) => 1,
            Some(0x08) => 23,
            Some(0x11) => 24,
            Some(0x14) => 17,
            Some(0x18) => 18,
            Some(0x2b) => 7,
            Some(0x2d) => 22,
            Some(0x3b) => 15,
            Some(0x3c) => 11,
            Some(0x3d) => 21,
            Some(0x3f) => 20,
            Some(0x43) => 19,
            Some(0x46) => 25,
            Some(0x48) => 8,
            _ => TSS_ERROR,
        };
        Self::new(code, error.to_string())
    }

    /// Of a file of ours, LCP_E_COMD_INTERNAL_ERR.
    pub fn of_file(error: &anyhow::Error) -> Self {
        Self::new(31, commands::sentence(error.chain()))
    }

    /// There is no such index.
    pub fn no_index(index: u32) -> Self {
        let code = ReturnCode::BAD_INDEX;
        Self::new(TSS_ERROR, format!("index {index:#010x}: {code}"))
    }
}

/// Anything else that a TPM refuses has one number.
impl From<Tpm12Error> for Failure {
    fn from(error: Tpm12Error) -> Self {
        Self::new(TSS_ERROR, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (exit code {}", self.sentence, self.code)?;
        match NAMES.iter().find(|(code, _)| *code == self.code) {
            Some((_, name)) => write!(f, ", {name})"),
            None => write!(f, ")"),
        }
    }
}
