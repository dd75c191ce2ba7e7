//! The boot secret, sealed as it is or with a PIN.
//!
//! With one it is encrypted first, so that what the TPM releases is nothing without the PIN.

use tpm::{AuthPolicy, Name, Sealed, Tpm, TpmError};

use super::{
    pin::{PinError, PinKey},
    secret::BootSecret,
};

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinSealError {
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

/// Seals a boot secret as it is, or with a PIN. Where the storage key that it belongs under is known, no
/// other key is sent anything: what a TPM on the bus would learn is the secret, or where to guess the PIN.
pub(crate) fn seal(
    tpm: &mut dyn Tpm,
    secret: &BootSecret,
    pin: Option<&PinKey>,
    policy: &AuthPolicy,
    known_srk: Option<&Name>,
) -> Result<Sealed, PinSealError> {
    let plain = secret.to_bytes();
    let Some(pin) = pin else {
        return Ok(tpm.seal(plain.as_slice(), policy, known_srk)?);
    };
    let encrypted = pin.encrypt(plain.as_slice())?;
    Ok(tpm.seal_with_auth(&encrypted, policy, known_srk, &pin.auth_value()?)?)
}

/// The boot secret in what the TPM released for this PIN, with the PIN; `None` when it was not sealed with it.
pub(super) fn opened(released: &[u8], pin: PinKey) -> Option<BootSecret> {
    let plain = pin.decrypt(released)?;
    let secret = BootSecret::from_bytes(&plain).ok()?;
    Some(secret.with_pin(Some(pin)))
}

#[cfg(test)]
mod tests {
    use tpm::{Bank, PcrPolicy, PcrSet, simulated::SimulatedTpm};

    use super::*;
    use crate::unlock::{HostSecret, Pin, VolumeSecret};

    fn pin(text: &str) -> Pin {
        Pin::new(text.as_bytes()).unwrap()
    }

    /// Whoever got past the TPM's check of the value has this and not the secret.
    #[test]
    fn what_is_sealed_is_nothing_without_the_pin() {
        let mut tpm = SimulatedTpm::new(1);
        tpm.launch(b"SINIT", &[(17, [1; 32]), (18, [2; 32]), (19, [3; 32])]);
        let values = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH).unwrap();
        let policy = PcrPolicy::new(values).unwrap();
        let secret = BootSecret::new(
            VolumeSecret::generate().unwrap(),
            HostSecret::generate().unwrap(),
        );
        let key = PinKey::fresh(&pin("123456")).unwrap();
        let sealed = seal(&mut tpm, &secret, Some(&key), &policy.clone().into(), None).unwrap();
        let released = tpm
            .unseal_with_auth(&sealed, &policy.into(), None, &key.auth_value().unwrap())
            .unwrap();
        let plain = secret.to_bytes();
        assert!(!released.windows(8).any(|part| part == &plain[..8]));
        let found = opened(&released, key.copy()).unwrap();
        assert_eq!(*found.to_bytes(), *plain);
        assert_eq!(found.pin().unwrap().to_bytes(), key.to_bytes());
        let other = PinKey::derive(&pin("123457"), key.salt());
        assert!(opened(&released, other).is_none());
        for junk in [&plain[..], &[]] {
            assert!(opened(junk, key.copy()).is_none());
        }
    }
}
