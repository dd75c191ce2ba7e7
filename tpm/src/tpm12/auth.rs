//! Authorization: what proves to the TPM that the caller knows a secret, and to the caller that
//! the response comes from the TPM that knows it too.
//!
//! A secret never crosses the bus: OIAP keys the HMAC with it, OSAP with a value derived from it,
//! and ADIP hides a new secret under a one-time pad. Each response brings the nonce for the next
//! command, so that nothing that was heard once is an answer or a command a second time.
//! Source: TPM Main, Part 1, sections 13 and 14.

use zeroize::Zeroizing;

use super::{
    codec::{Bytes20, DIGEST_LEN, Trailer},
    hash::{hmac, is_hmac, sha1},
};

/// An authorization secret: the owner's, a key's, or that of an NV index or a sealed blob.
#[derive(Clone)]
pub struct Secret(Zeroizing<Bytes20>);

impl Secret {
    /// 20 zero bytes: the "well-known secret" of the TCG, which everybody knows.
    pub fn well_known() -> Self {
        Self(Zeroizing::new([0; DIGEST_LEN]))
    }

    /// SHA-1 of a password's bytes, as trousers and the TCG's software stack make it.
    pub fn from_password(password: &[u8]) -> Self {
        Self(Zeroizing::new(sha1(&[password])))
    }

    /// The secret itself.
    pub fn from_bytes(bytes: Bytes20) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn bytes(&self) -> &Bytes20 {
        &self.0
    }
}

/// What an OSAP session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    /// The owner.
    Owner,
    /// A loaded key, by its handle.
    Key(u32),
}

impl Entity {
    /// TPM_ENTITY_TYPE and value; the type's upper byte 0 means XOR as the ADIP scheme.
    pub(super) const fn type_and_value(self) -> (u16, u32) {
        match self {
            Self::Owner => (0x0002, 0),
            Self::Key(handle) => (0x0001, handle),
        }
    }
}

/// An open session: its handle, its key and the nonce that the TPM sent last.
pub(super) struct Session {
    pub(super) handle: u32,
    key: Secret,
    nonce_even: Bytes20,
}

impl Session {
    /// OIAP: the key is the secret itself.
    pub(super) fn oiap(handle: u32, nonce_even: Bytes20, secret: &Secret) -> Self {
        Self {
            handle,
            key: secret.clone(),
            nonce_even,
        }
    }

    /// OSAP: the key is HMAC(secret, nonceEvenOSAP || nonceOddOSAP).
    pub(super) fn osap(
        handle: u32,
        nonce_even: Bytes20,
        secret: &Secret,
        nonce_even_osap: &Bytes20,
        nonce_odd_osap: &Bytes20,
    ) -> Self {
        let shared = hmac(secret.bytes(), &[nonce_even_osap, nonce_odd_osap]);
        Self {
            handle,
            key: Secret(Zeroizing::new(shared)),
            nonce_even,
        }
    }

    /// ADIP: a new secret under the pad SHA1(shared || nonceEven).
    pub(super) fn encrypt(&self, secret: &Secret) -> Bytes20 {
        let mut out = sha1(&[self.key.bytes(), &self.nonce_even]);
        for (byte, clear) in out.iter_mut().zip(secret.bytes()) {
            *byte ^= clear;
        }
        out
    }

    /// inAuth of a command: HMAC(key, SHA1(ordinal || parameters) || nonceEven || nonceOdd || keep).
    pub(super) fn command_hmac(
        &self,
        digest: &Bytes20,
        nonce_odd: &Bytes20,
        keep: bool,
    ) -> Bytes20 {
        let keep = [u8::from(keep)];
        hmac(
            self.key.bytes(),
            &[digest, &self.nonce_even, nonce_odd, &keep],
        )
    }

    /// Is a response's HMAC right, over the digest SHA1(rc || ordinal || parameters)? Compared in
    /// constant time. If it is, the TPM's new nonce is noted.
    pub(super) fn accept(
        &mut self,
        digest: &Bytes20,
        nonce_odd: &Bytes20,
        trailer: &Trailer,
    ) -> bool {
        let parts: [&[u8]; 4] = [
            digest,
            &trailer.nonce_even,
            nonce_odd,
            &[trailer.continue_session],
        ];
        let authentic = is_hmac(self.key.bytes(), &parts, &trailer.hmac);
        if authentic {
            self.nonce_even = trailer.nonce_even;
        }
        authentic
    }
}

/// A session that a command uses, and whether it stays open afterwards.
pub(super) struct Use<'s> {
    pub(super) session: &'s mut Session,
    pub(super) keep: bool,
}

impl<'s> Use<'s> {
    /// The session ends with the command.
    pub(super) fn last(session: &'s mut Session) -> Self {
        Self {
            session,
            keep: false,
        }
    }

    /// The session serves further commands.
    pub(super) fn kept(session: &'s mut Session) -> Self {
        Self {
            session,
            keep: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adip_is_its_own_inverse_and_hides_the_secret() {
        let owner = Secret::from_password(b"ownerpw");
        let session = Session::osap(1, [2; 20], &owner, &[3; 20], &[4; 20]);
        let area = Secret::from_password(b"secret");
        let hidden = session.encrypt(&area);
        assert_ne!(&hidden, area.bytes());
        assert_eq!(&session.encrypt(&Secret::from_bytes(hidden)), area.bytes());
    }

    #[test]
    fn a_changed_bit_anywhere_makes_a_response_unauthentic() {
        let mut session = Session::oiap(1, [2; 20], &Secret::well_known());
        let (even, odd) = ([5; 20], [6; 20]);
        let digest =
            |ordinal: u32, parameters: &[u8]| sha1(&[&[0; 4], &ordinal.to_be_bytes(), parameters]);
        let right = digest(7, &[1, 2, 3]);
        let good = Trailer {
            nonce_even: even,
            continue_session: 0,
            hmac: hmac(&[0; 20], &[&right, &even, &odd, &[0]]),
        };
        assert!(!session.accept(&digest(8, &[1, 2, 3]), &odd, &good));
        assert!(!session.accept(&digest(7, &[1, 2, 4]), &odd, &good));
        assert!(!session.accept(&right, &even, &good));
        for bit in 0..160 {
            let mut bad = good.clone();
            bad.hmac[bit / 8] ^= 1 << (bit % 8);
            assert!(!session.accept(&right, &odd, &bad));
        }
        let mut bad = good.clone();
        bad.continue_session = 1;
        assert!(!session.accept(&right, &odd, &bad));
        // Nothing of what was refused is the nonce of the next command.
        assert_eq!(session.nonce_even, [2; 20]);
        assert!(session.accept(&right, &odd, &good));
        assert_eq!(session.nonce_even, even);
    }
}
