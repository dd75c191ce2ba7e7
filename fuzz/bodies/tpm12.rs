//! Those of the tools for TPM 1.2.

#[path = "../../lcp/src/original/tpm12/pconf_file.rs"]
pub mod pconf_file;
