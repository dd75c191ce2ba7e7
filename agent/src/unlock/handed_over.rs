//! The boot secret and its PIN as bytes, for the copy of the agent that stays.

use zeroize::Zeroizing;

use super::{
    pin::PinKey,
    secret::{BootSecret, SecretError},
};

impl BootSecret {
    /// Length of what is handed over, in bytes.
    pub const HANDOVER_LEN: usize = Self::LEN + PinKey::LEN;

    /// The bytes, and the stretched PIN with them.
    pub fn to_handover(&self) -> Zeroizing<[u8; Self::HANDOVER_LEN]> {
        let mut bytes = Zeroizing::new([0; Self::HANDOVER_LEN]);
        let secret = self.to_bytes();
        // Zeros are no PIN: its key comes from PBKDF2.
        let pin = match self.pin() {
            Some(pin) => pin.to_bytes(),
            None => Zeroizing::new([0; PinKey::LEN]),
        };
        let all = secret.iter().chain(pin.iter());
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// From the bytes of [`Self::to_handover`].
    pub fn from_handover(bytes: &[u8; Self::HANDOVER_LEN]) -> Result<Self, SecretError> {
        let wrong = || SecretError::WrongLength { found: bytes.len() };
        let (secret, pin) = bytes
            .split_first_chunk::<{ Self::LEN }>()
            .ok_or_else(wrong)?;
        let pin: &[u8; PinKey::LEN] = pin.try_into().map_err(|_| wrong())?;
        let is_there = pin.iter().any(|byte| *byte != 0);
        let pin = is_there.then(|| PinKey::from_bytes(pin)).flatten();
        Ok(Self::from_bytes(secret)?.with_pin(pin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_is_handed_over_and_not_sealed() {
        let secret = || BootSecret::from_bytes(&[9; 64]).unwrap();
        let pin = PinKey::fresh(&crate::unlock::Pin::new(b"123456").unwrap()).unwrap();
        let expected = pin.to_bytes();
        let with = secret().with_pin(Some(pin));
        assert_eq!(with.to_bytes(), secret().to_bytes());
        let taken = BootSecret::from_handover(&with.to_handover()).unwrap();
        assert_eq!(taken.to_bytes(), with.to_bytes());
        assert_eq!(taken.pin().unwrap().to_bytes(), expected);
        let taken = BootSecret::from_handover(&secret().to_handover()).unwrap();
        assert!(taken.pin().is_none());
    }
}
