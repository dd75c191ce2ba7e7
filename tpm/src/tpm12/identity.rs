//! Attestation identity keys: made, and proved to be in the TPM that has a certain endorsement key.
//!
//! Source: TPM Main, Part 2, sections 12.5 and 12.8; Part 3, sections 15.1 and 15.2.

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::{Entity, Use},
    codec::{Bytes20, Malformed, Reader},
    command::{Command, Ordinal, bad_answer},
    hash::sha1,
    key::{KeyUsage, WrappedKey, template},
    rsa::RsaPublic,
};

const MAKE_IDENTITY: Ordinal = Ordinal(0x79, "TPM_MakeIdentity");
const ACTIVATE_IDENTITY: Ordinal = Ordinal(0x7a, "TPM_ActivateIdentity");

/// TPM_STRUCT_VER 1.1.0.0 of TPM_IDENTITY_CONTENTS.
const VERSION: [u8; 4] = [1, 1, 0, 0];
/// TPM_ALG_AES128 and TPM_ES_SYM_CTR of the key in a challenge.
const SESSION_KEY: [u8; 6] = [0, 0, 0, 6, 0, 4];
/// Length of a challenge's secret, in bytes.
pub const CHALLENGE_LEN: usize = 16;

/// A new identity key, and its own signature over what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key, to be kept.
    pub key: WrappedKey,
    /// TPM_IDENTITY_CONTENTS, signed by the key.
    pub binding: Vec<u8>,
}

impl Identity {
    /// Is it a TPM's identity key, made for this label? A TPM signs this with such a key and no other.
    pub fn is_bound_to(&self, label: &Bytes20) -> bool {
        let public = self.key.public();
        let ordinal = MAKE_IDENTITY.0.to_be_bytes();
        let digest = sha1(&[&VERSION, &ordinal, label, &public.to_bytes()]);
        public.has_signed(&digest, &self.binding)
    }
}

/// What only the TPM with both keys can open: the secret, encrypted to the endorsement key for the
/// identity key (TPM_ASYM_CA_CONTENTS).
///
/// # Errors
/// [`Tpm12Error::BadParameter`] for a key that cannot be encrypted to.
pub fn challenge(
    endorsement: &RsaPublic,
    identity: &RsaPublic,
    secret: &[u8; CHALLENGE_LEN],
) -> Result<Vec<u8>, Tpm12Error> {
    let length = u16::try_from(CHALLENGE_LEN).unwrap_or(u16::MAX);
    let contents = Zeroizing::new(
        [
            &SESSION_KEY[..],
            &length.to_be_bytes(),
            secret,
            &sha1(&[&identity.to_bytes()]),
        ]
        .concat(),
    );
    endorsement.encrypt(&contents)
}

impl Tpm12 {
    /// Makes an identity key for this label, with a secret of its own.
    ///
    /// # Errors
    /// [`Tpm12Error::BadAnswer`] where the key is another kind or its binding is not its own; or what the
    /// TPM says: `AUTH_FAIL` for a wrong secret of the storage root key, `AUTH2_FAIL` for the owner's.
    pub fn make_identity(
        &mut self,
        srk_secret: &Secret,
        owner: &Secret,
        label: &Bytes20,
        secret: &Secret,
    ) -> Result<Identity, Tpm12Error> {
        let bad = bad_answer(MAKE_IDENTITY);
        let mut srk = self.open_oiap(srk_secret)?;
        let mut owned = self
            .open_osap(Entity::Owner, owner)
            .inspect_err(|_| self.close(&srk))?;
        let parameters = [
            &owned.encrypt(secret)[..],
            label,
            &template(KeyUsage::Identity),
        ]
        .concat();
        let command = Command::new(MAKE_IDENTITY, &[], &parameters);
        let answer = self.run_with(command, &mut [Use::last(&mut srk), Use::last(&mut owned)])?;
        let mut reader = Reader::new(&answer.parameters);
        let key = WrappedKey::read(&mut reader).map_err(&bad)?;
        let binding = reader.sized("identityBinding").map_err(&bad)?.to_vec();
        reader.finish("identityBinding").map_err(&bad)?;
        let identity = Identity { key, binding };
        if identity.key.usage() != KeyUsage::Identity || !identity.is_bound_to(label) {
            return Err(bad(Malformed(
                "it is not an identity key that signed its binding".to_owned(),
            )));
        }
        Ok(identity)
    }

    /// Opens a challenge for a loaded identity key.
    ///
    /// # Errors
    /// What the TPM says: `BAD_PARAMETER` for another identity key, `DECRYPT_ERROR` for another TPM,
    /// `AUTH_FAIL` for a wrong secret of the key, `AUTH2_FAIL` for the owner's.
    pub fn activate_identity(
        &mut self,
        identity: u32,
        secret: &Secret,
        owner: &Secret,
        challenge: &[u8],
    ) -> Result<Zeroizing<[u8; CHALLENGE_LEN]>, Tpm12Error> {
        let bad = bad_answer(ACTIVATE_IDENTITY);
        let handles = [identity];
        let parameters = super::codec::sized(challenge);
        let command = Command::new(ACTIVATE_IDENTITY, &handles, &parameters);
        let answer = self.run_proving(command, &[secret, owner])?;
        let mut reader = Reader::new(&answer.parameters);
        let kind: [u8; 6] = reader.array("algId and encScheme").map_err(&bad)?;
        let length = reader.u16("size").map_err(&bad)?;
        if kind != SESSION_KEY || usize::from(length) != CHALLENGE_LEN {
            return Err(bad(Malformed(format!(
                "a key of {length} bytes of another kind was in it"
            ))));
        }
        let opened = Zeroizing::new(reader.array("data").map_err(&bad)?);
        reader.finish("data").map_err(&bad)?;
        Ok(opened)
    }
}
