//! Authorization: what proves to the TPM that the caller knows a secret, and to the caller that
//! the response comes from the TPM that knows it too.
//!
//! A secret never crosses the bus: OIAP keys the HMAC with it, OSAP with a value derived from it,
//! and ADIP hides a new secret under a one-time pad. Source: TPM Main, Part 1, sections 13 and 14.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::{
    Tpm12Error,
    codec::{Bytes20, DIGEST_LEN, Trailer},
};

/// TPM_ET_OWNER with XOR ADIP: the entity that OSAP is opened for.
pub(super) const ENTITY_OWNER: u16 = 0x0002;
/// The owner's entity value.
pub(super) const ENTITY_VALUE: u32 = 0;

/// An authorization secret: the owner's, or that of an NV index.
#[derive(Clone)]
pub struct Secret(Zeroizing<Bytes20>);

impl Secret {
    /// 20 zero bytes: the "well-known secret" of the TCG, which everybody knows.
    pub fn well_known() -> Self {
        Self(Zeroizing::new([0; DIGEST_LEN]))
    }

    /// SHA-1 of a password's bytes, as trousers and the TCG's software stack make it.
    pub fn from_password(password: &[u8]) -> Self {
        Self(Zeroizing::new(Sha1::digest(password).into()))
    }

    pub(super) fn bytes(&self) -> &Bytes20 {
        &self.0
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
    ) -> Result<Self, Tpm12Error> {
        let shared = hmac(secret, &[nonce_even_osap, nonce_odd_osap])?;
        Ok(Self {
            handle,
            key: Secret(Zeroizing::new(shared)),
            nonce_even,
        })
    }

    /// ADIP: a new secret under the pad SHA1(shared || nonceEven).
    pub(super) fn encrypt(&self, secret: &Secret) -> Bytes20 {
        let mut hasher = Sha1::new();
        hasher.update(self.key.bytes());
        hasher.update(self.nonce_even);
        let mut out: Bytes20 = hasher.finalize().into();
        for (byte, clear) in out.iter_mut().zip(secret.bytes()) {
            *byte ^= clear;
        }
        out
    }

    /// inAuth of a command: HMAC(key, SHA1(ordinal || parameters) || nonceEven || nonceOdd || 0).
    /// Each session serves one command, so continueAuthSession is always 0.
    pub(super) fn command_hmac(
        &self,
        ordinal: u32,
        parameters: &[u8],
        nonce_odd: &Bytes20,
    ) -> Result<Bytes20, Tpm12Error> {
        let digest = sha1(&[&ordinal.to_be_bytes(), parameters]);
        hmac(&self.key, &[&digest, &self.nonce_even, nonce_odd, &[0]])
    }

    /// Is a response's HMAC right? Compared in constant time.
    pub(super) fn response_is_authentic(
        &self,
        ordinal: u32,
        parameters: &[u8],
        nonce_odd: &Bytes20,
        trailer: &Trailer,
    ) -> bool {
        // rc is in the digest; a response with an HMAC always has rc 0.
        let digest = sha1(&[&0u32.to_be_bytes(), &ordinal.to_be_bytes(), parameters]);
        let parts: [&[u8]; 4] = [
            &digest,
            &trailer.nonce_even,
            nonce_odd,
            &[trailer.continue_session],
        ];
        keyed(&self.key, &parts).is_some_and(|mac| mac.verify_slice(&trailer.hmac).is_ok())
    }
}

fn sha1(parts: &[&[u8]]) -> Bytes20 {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn keyed(key: &Secret, parts: &[&[u8]]) -> Option<Hmac<Sha1>> {
    // HMAC takes keys of any length: `None` never comes.
    let mut mac = Hmac::<Sha1>::new_from_slice(key.bytes()).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

fn hmac(key: &Secret, parts: &[&[u8]]) -> Result<Bytes20, Tpm12Error> {
    match keyed(key, parts) {
        Some(mac) => Ok(mac.finalize().into_bytes().into()),
        None => Err(Tpm12Error::BadParameter(
            "HMAC-SHA1 does not accept a key of 20 bytes".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adip_is_its_own_inverse_and_hides_the_secret() {
        let owner = Secret::from_password(b"ownerpw");
        let session = Session::osap(1, [2; 20], &owner, &[3; 20], &[4; 20]).unwrap();
        let area = Secret::from_password(b"secret");
        let hidden = session.encrypt(&area);
        assert_ne!(&hidden, area.bytes());
        assert_eq!(
            &session.encrypt(&Secret(Zeroizing::new(hidden))),
            area.bytes()
        );
    }

    #[test]
    fn a_changed_bit_anywhere_makes_a_response_unauthentic() {
        let session = Session::oiap(1, [2; 20], &Secret::well_known());
        let (even, odd, parameters) = ([5; 20], [6; 20], [1, 2, 3]);
        let digest = sha1(&[&[0; 4], &7u32.to_be_bytes(), &parameters]);
        let hmac = hmac(&Secret::well_known(), &[&digest, &even, &odd, &[0]]).unwrap();
        let good = Trailer {
            nonce_even: even,
            continue_session: 0,
            hmac,
        };
        assert!(session.response_is_authentic(7, &parameters, &odd, &good));
        assert!(!session.response_is_authentic(8, &parameters, &odd, &good));
        assert!(!session.response_is_authentic(7, &[1, 2, 4], &odd, &good));
        assert!(!session.response_is_authentic(7, &parameters, &even, &good));
        for bit in 0..160 {
            let mut bad = good.clone();
            bad.hmac[bit / 8] ^= 1 << (bit % 8);
            assert!(!session.response_is_authentic(7, &parameters, &odd, &bad));
        }
        let mut bad = good;
        bad.continue_session = 1;
        assert!(!session.response_is_authentic(7, &parameters, &odd, &bad));
    }
}
