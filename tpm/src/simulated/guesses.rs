//! The defence against dictionary attacks: wrong authorization values are counted, and survive a
//! restart.

use crate::{Lockout, TpmError};

/// As swtpm's, and with its interval of 1000 seconds: time does not pass here.
const MOST: u32 = 3;
const INTERVAL: u32 = 1000;
/// TPM_RC_AUTH_FAIL of the first session (TPM 2.0 Library, Part 2, 6.6.3).
const AUTH_FAIL: u32 = 0x98e;

#[derive(Debug, Default)]
pub(super) struct Guesses {
    failed: u32,
}

impl Guesses {
    pub(super) const fn lockout(&self) -> Lockout {
        Lockout {
            locked: self.failed >= MOST,
            failed: self.failed,
            most: MOST,
            interval: INTERVAL,
        }
    }

    pub(super) const fn clear(&mut self) {
        self.failed = 0;
    }

    /// Refused where it is locked; a wrong value counts.
    pub(super) fn judge(&mut self, right: bool) -> Result<(), TpmError> {
        let lockout = self.lockout();
        if lockout.locked {
            let lockout = Some(lockout);
            return Err(TpmError::LockedOut { lockout });
        }
        if right {
            return Ok(());
        }
        self.failed = self.failed.saturating_add(1);
        Err(TpmError::WrongAuthValue { code: AUTH_FAIL })
    }
}
