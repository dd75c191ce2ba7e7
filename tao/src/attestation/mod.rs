//! Attestations: statements signed by a principal that may make them.
//!
//! An attestation carries `issuer from t until e says ...`, who signed it, and, unless the
//! signer is the issuer (or what the issuer extends), a chain of delegations that ends at
//! a root: a key, or a TPM that quoted its PCRs, among them the one that says which key the
//! boot's host has ([`BootEvent`]). [`verify`] checks all of it, the clock
//! included, which nobody did in the system this format comes from.
//!
//! ```
//! use tao::{
//!     attestation::{attest, now, verify},
//!     keys::{KeyKind, SignatureFormat, Signer},
//!     logic::{Form, Says},
//! };
//!
//! // What a host signs for a program. The program's name extends the host's, so that the
//! // host's key may speak for it.
//! let host = Signer::generate(KeyKind::P256)?;
//! let program = host.name().extended(&".Program([0a])".parse()?);
//! let at = now()?;
//! let statement = Says {
//!     speaker: program.clone().into(),
//!     time: Some(at),
//!     expiration: Some(at + 60_000_000_000),
//!     message: Box::new("Ready(1)".parse()?),
//! };
//! let attestation = attest(&host, SignatureFormat::Strong, statement, None)?;
//!
//! // Whoever gets it asks who speaks, and what the chain of signatures begins with.
//! let verified = verify(&attestation, at)?;
//! assert_eq!(verified.speaker, program);
//! assert_eq!(verified.root, *host.name());
//! assert_eq!(*verified.statement.message, "Ready(1)".parse::<Form>()?);
//!
//! // A minute later it is refused.
//! assert!(verify(&attestation, at + 60_000_000_001).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boot_event;
mod clock;
mod directive;
mod make;
mod quote;
#[cfg(test)]
mod tests;
mod verify;

pub use boot_event::{
    AcpiTables, BOOT_PCR, BootEvent, BootEventError, BootVolume, LATCH_EVENT, Opened,
};
pub use clock::{ClockError, now};
pub use directive::{DIRECTIVE_CONTEXT, Directive, DirectiveError, verify_directive};
pub use make::{AttestError, SIGNING_CONTEXT, STRONG_CONTEXT, attest, quoted};
pub use quote::{QuoteError, verify_quote};
pub use verify::{AttestationError, MAX_CHAIN, Verified, verify};

pub use crate::wire::messages::AttestationMessage;
