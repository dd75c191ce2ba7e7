//! The parsers of the original tools' files and command lines. They belong to the `lcp` program, not
//! to its library, so that they are taken in here by their files.
#![allow(dead_code, missing_docs)]

#[path = "../../lcp/src/original/getopt.rs"]
pub mod getopt;
#[path = "../../lcp/src/original/hash_file.rs"]
pub mod hash_file;
#[path = "../../lcp/src/original/pconf_file.rs"]
pub mod pconf_file;
#[path = "../../lcp/src/original/strtoul.rs"]
pub mod strtoul;
#[path = "tpm12.rs"]
pub mod tpm12;
