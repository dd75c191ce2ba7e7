//! Who the host is: its name, its keys, and why its key may speak for its name.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::authority::{
    error::IdentityError,
    keys::HostKeys,
    root::{Anchor, Root},
};
use tao::{
    attestation,
    keys::{Hidden, SignatureFormat, Signer},
    logic::{Form, Prin, Says, Speaksfor, SubPrin},
};

/// How long statements are valid when the caller does not say: 365 days.
pub(crate) const VALIDITY: i64 = 365 * DAY;
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
/// The delegation is made anew when less than this remains of it.
const RENEW_BEFORE: i64 = 30 * DAY;
/// How often a delegation is tried: another process may change a TPM's PCRs meanwhile.
const ATTEMPTS: u32 = 3;

/// The root, and the statement by which it lets the host's key speak for the host's name.
struct Delegating {
    root: Box<dyn Root>,
    delegation: Option<Vec<u8>>,
    /// Nanoseconds since 1970.
    renew_at: i64,
}

/// The host's name and keys.
pub struct Identity {
    name: Prin,
    pub(crate) keys: Hidden<HostKeys>,
    delegating: Mutex<Delegating>,
}

/// Nanoseconds since 1970; less than 0 if the clock is set before that.
pub(crate) fn now() -> i64 {
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => nanoseconds(since),
        Err(before) => nanoseconds(before.duration()).saturating_neg(),
    }
}

impl Identity {
    /// Has the root let the keys speak for the host. `guard` is the guard's part of the
    /// host's name.
    pub fn new(
        mut root: Box<dyn Root>,
        keys: Hidden<HostKeys>,
        guard: &SubPrin,
    ) -> Result<Self, IdentityError> {
        let name = root
            .host_name(keys.signer.name(), guard)
            .map_err(IdentityError::Root)?;
        let mut delegating = Delegating {
            root,
            delegation: None,
            renew_at: 0,
        };
        delegating.renew(&name, &keys.signer)?;
        Ok(Self {
            name,
            keys,
            delegating: Mutex::new(delegating),
        })
    }

    /// The host's name.
    pub fn name(&self) -> &Prin {
        &self.name
    }

    /// A panic while the lock was held leaves the last complete delegation.
    fn delegating(&self) -> MutexGuard<'_, Delegating> {
        self.delegating
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the boot says of itself, where a TPM holds it.
    pub(crate) fn boot_event(&self) -> Option<String> {
        self.delegating().root.boot_event()
    }

    /// Does something with the counter outside the disk's reach, or with `None`.
    pub(crate) fn with_anchor<T>(&self, work: impl FnOnce(Option<&mut dyn Anchor>) -> T) -> T {
        work(self.delegating().root.anchor())
    }

    /// Signs a statement of the host or of one of its programs.
    pub(crate) fn attest(
        &self,
        format: SignatureFormat,
        statement: Says,
    ) -> Result<Vec<u8>, IdentityError> {
        let delegation = {
            let mut delegating = self.delegating();
            // The delegation is good for a year, whatever becomes of the machine.
            if !delegating.root.stands().map_err(IdentityError::Root)? {
                return Err(IdentityError::Changed);
            }
            if now() >= delegating.renew_at
                && let Err(error) = delegating.renew(&self.name, &self.keys.signer)
            {
                log::warn!("the delegation to the host's key could not be renewed: {error}");
            }
            delegating.delegation.clone()
        };
        Ok(attestation::attest(
            &self.keys.signer,
            format,
            statement,
            delegation,
        )?)
    }
}

impl Delegating {
    /// Has the root say that the host's key speaks for the host. The statement has no
    /// beginning: at boot the clock may be ahead of what it will be set to.
    fn renew(&mut self, name: &Prin, signer: &Signer) -> Result<(), IdentityError> {
        let expiration = now().saturating_add(VALIDITY);
        let statement = Says {
            speaker: name.clone().into(),
            time: None,
            expiration: Some(expiration),
            message: Box::new(Form::Speaksfor(Speaksfor {
                delegate: signer.name().clone().into(),
                delegator: name.clone().into(),
            })),
        };
        let mut attempt = 1;
        loop {
            let delegation = self
                .root
                .delegate(&statement)
                .map_err(IdentityError::Root)?;
            let verdict = match &delegation {
                Some(delegation) => attestation::verify(delegation, now()).map(drop),
                None => Ok(()),
            };
            match verdict {
                Ok(()) => {
                    self.delegation = delegation;
                    self.renew_at = expiration.saturating_sub(RENEW_BEFORE);
                    return Ok(());
                }
                Err(error) if attempt == ATTEMPTS => return Err(IdentityError::Delegation(error)),
                Err(_) => attempt = attempt.saturating_add(1),
            }
        }
    }
}
