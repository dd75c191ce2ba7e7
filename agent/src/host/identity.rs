//! Who the host is: its name, its keys, and why its key may speak for its name.

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tao::{
    attestation::{self, AttestError, AttestationError},
    keys::{Crypter, DeriveError, Deriver, KeyError, Secret, Signer},
    logic::{Form, LogicError, Prin, Says, Speaksfor, SubPrin},
};
use tpm::{Bank, PcrSet, Tpm, TpmError};

use super::Root;

/// How long statements are valid when the caller does not say: 365 days.
pub(super) const VALIDITY: i64 = 365 * DAY;
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
/// The quote is made anew when less than this remains of it.
const RENEW_BEFORE: i64 = 30 * DAY;
/// How often a quote is tried while another process changes the PCRs.
const ATTEMPTS: u32 = 3;

/// Why the host has no name or no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The TPM failed.
    #[error("the TPM gives no quote for the Tao host: {0}")]
    Tpm(#[from] TpmError),
    /// A key could not be derived.
    #[error("the Tao host's keys: {0}")]
    Derive(#[from] DeriveError),
    /// A key could not be made or used.
    #[error("the Tao host's keys: {0}")]
    Key(#[from] KeyError),
    /// A name could not be made.
    #[error("the Tao host's name: {0}")]
    Name(#[from] LogicError),
    /// A statement could not be signed.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The TPM's quote does not prove what it should.
    #[error("the TPM's quote for the Tao host does not verify: {0}")]
    Quote(#[source] AttestationError),
}

/// The quote that lets the host's key speak for the host's name.
struct QuotedRoot {
    tpm: Box<dyn Tpm + Send>,
    bank: Bank,
    pcrs: PcrSet,
    spki: Vec<u8>,
    delegation: Vec<u8>,
    /// Nanoseconds since 1970.
    renew_at: i64,
}

/// The host's name and keys.
pub struct Identity {
    name: Prin,
    signer: Signer,
    pub(super) crypter: Crypter,
    quoted: Option<Mutex<QuotedRoot>>,
}

/// Nanoseconds since 1970; 0 if the clock is set before that.
pub(super) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Identity {
    /// Derives the keys and, on a TPM, gets the quote.
    pub fn new(root: Root, host_secret: Secret) -> Result<Self, IdentityError> {
        let deriver = Deriver::new(host_secret);
        let signer = Signer::new(deriver.secret(b"taoboot host signing key")?)?;
        let crypter = Crypter::new(&deriver.secret(b"taoboot host sealing key")?);
        let (name, quoted) = match root {
            Root::Soft => (signer.name().clone(), None),
            Root::Tpm2 {
                mut tpm,
                bank,
                pcrs,
            } => {
                let spki = tpm.attestation_key()?.spki;
                let values = tpm.pcr_read(bank, pcrs)?;
                let ext = SubPrin::pcrs(values.iter().map(|(index, value)| (index.get(), value)))?;
                let name = Prin::of_public_key("tpm2", &spki)?.extended(&ext);
                let mut root = QuotedRoot {
                    tpm,
                    bank,
                    pcrs,
                    spki,
                    delegation: Vec::new(),
                    renew_at: 0,
                };
                root.renew(&name, &signer)?;
                (name, Some(Mutex::new(root)))
            }
        };
        Ok(Identity {
            name,
            signer,
            crypter,
            quoted,
        })
    }

    /// The host's name.
    pub fn name(&self) -> &Prin {
        &self.name
    }

    /// Signs a statement of the host or of one of its programs.
    pub(super) fn attest(&self, statement: Says) -> Result<Vec<u8>, IdentityError> {
        let delegation = self.quoted.as_ref().map(|quoted| {
            // A panic while the lock was held leaves the last complete quote.
            let mut root = quoted.lock().unwrap_or_else(PoisonError::into_inner);
            if now() >= root.renew_at
                && let Err(error) = root.renew(&self.name, &self.signer)
            {
                log::warn!("the host's quote could not be renewed: {error}");
            }
            root.delegation.clone()
        });
        Ok(attestation::attest(&self.signer, statement, delegation)?)
    }
}

impl QuotedRoot {
    /// Has the TPM say, by a quote, that the host's key speaks for the host. The statement
    /// has no beginning: at boot the clock may be ahead of what it will be set to.
    fn renew(&mut self, name: &Prin, signer: &Signer) -> Result<(), IdentityError> {
        let now = now();
        let expiration = now.saturating_add(VALIDITY);
        let message = Form::Speaksfor(Speaksfor {
            delegate: signer.name().clone().into(),
            delegator: name.clone().into(),
        });
        let says = Says {
            speaker: name.clone().into(),
            time: None,
            expiration: Some(expiration),
            message: Box::new(message),
        };
        let statement = Form::Says(says).encode();
        let mut attempt = 1;
        loop {
            let quote = self
                .tpm
                .quote(&Sha256::digest(&statement), self.bank, self.pcrs)?;
            let delegation = attestation::quoted(
                statement.clone(),
                self.spki.clone(),
                quote.attest,
                quote.signature,
            );
            match attestation::verify(&delegation, now) {
                Ok(_) => {
                    self.delegation = delegation;
                    self.renew_at = expiration.saturating_sub(RENEW_BEFORE);
                    return Ok(());
                }
                Err(error) if attempt == ATTEMPTS => return Err(IdentityError::Quote(error)),
                Err(_) => attempt += 1,
            }
        }
    }
}
