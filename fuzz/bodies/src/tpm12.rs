//! What the fuzz target of `tpm` does with its bytes.

use tpm::tpm12::hostile;

use crate::target::FuzzTarget;

/// How many of the sixteen calls may be believed: the others want an HMAC that nobody can guess.
pub const MOST_BELIEVED: usize = 12;

/// How many of the calls with keys may be believed: the handles and a counter.
pub const MOST_LONG_BELIEVED: usize = 2;

/// Names of the targets, with their functions.
pub const TARGETS: [FuzzTarget; 1] = [("tpm12_response", response)];

/// A TPM's answers to every call of the client.
pub fn response(script: &[u8]) {
    let believed = hostile::run_all(script);
    assert!(believed <= MOST_BELIEVED, "{script:02x?}");
    let believed = hostile::run_long(script);
    assert!(believed <= MOST_LONG_BELIEVED, "{script:02x?}");
    hostile::read_all(script);
}
