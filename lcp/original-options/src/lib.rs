//! What the commands under the names of tboot's own tools share: command lines, numbers and text
//! files, read as lcp2_\*, lcp_\* and tb_polgen read them.
//!
//! * [`words`]: the command line's words, without the one that asks for the original's bytes.
//! * [`outcome`]: notes, and the exit code.
//! * [`getopt`] reads options, [`strtoul`] numbers.
//! * [`file`]: files as a whole.
//! * [`hash_file`], [`pconf_file`], [`pconf_file_tpm12`]: text files of hashes and PCR values.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod file;
pub mod getopt;
pub mod hash_file;
pub mod outcome;
pub mod pconf_file;
pub mod pconf_file_tpm12;
pub mod strtoul;
pub mod words;
