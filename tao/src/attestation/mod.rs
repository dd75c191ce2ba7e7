//! Attestations: statements signed by a principal that may make them.
//!
//! An attestation carries `issuer from t until e says ...`, who signed it, and, unless the
//! signer is the issuer (or what the issuer extends), a chain of delegations that ends at
//! a root: a key, or a TPM that quoted its PCRs, among them the one that says which key the
//! boot's host has ([`BootEvent`]). [`verify`] checks all of it, the clock
//! included, which nobody did in the system this format comes from.

mod boot_event;
mod clock;
mod directive;
mod make;
mod quote;
#[cfg(test)]
mod tests;
mod verify;

pub use boot_event::{BOOT_PCR, BootEvent, BootEventError, BootVolume, LATCH_EVENT, Opened};
pub use clock::{ClockError, now};
pub use directive::{DIRECTIVE_CONTEXT, Directive, DirectiveError, verify_directive};
pub use make::{AttestError, SIGNING_CONTEXT, STRONG_CONTEXT, attest, quoted};
pub use quote::{QuoteError, verify_quote};
pub use verify::{AttestationError, MAX_CHAIN, Verified, verify};

pub use crate::wire::messages::AttestationMessage;
