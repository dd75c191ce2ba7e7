//! Keys below the storage root key: made, loaded for as long as they are used, never left behind.
//!
//! Source: TPM Main, Part 2, section 10.3; Part 3, sections 10.4 and 10.5.

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::{Entity, Use},
    codec::{Malformed, Reader},
    command::{Command, Ordinal, Resource, bad_answer},
    rsa::{self, RsaPublic, Scheme},
    srk::SRK_HANDLE,
};

const CREATE_WRAP_KEY: Ordinal = Ordinal(0x1f, "TPM_CreateWrapKey");
const LOAD_KEY2: Ordinal = Ordinal(0x41, "TPM_LoadKey2");

/// TPM_TAG_KEY12, with the fill behind it.
const TAG_KEY12: u32 = 0x0028_0000;
/// TPM_KEY without a tag begins with its version.
const VERSION_KEY: u32 = 0x0101_0000;
/// TPM_AUTH_ALWAYS.
const AUTH_ALWAYS: u8 = 1;

/// What a key is for: TPM_KEY_USAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    /// Signs what its holder wants.
    Signing,
    /// Other keys and sealed secrets are under it.
    Storage,
    /// Signs quotes only.
    Identity,
}

impl KeyUsage {
    const ALL: [Self; 3] = [Self::Signing, Self::Storage, Self::Identity];

    const fn number(self) -> u16 {
        match self {
            Self::Signing => 0x0010,
            Self::Storage => 0x0011,
            Self::Identity => 0x0012,
        }
    }

    const fn scheme(self) -> Scheme {
        match self {
            Self::Storage => Scheme::Decrypt,
            Self::Signing | Self::Identity => Scheme::Sign,
        }
    }
}

/// A TPM_KEY12 without key, for the TPM to fill in: not migratable, always with its secret.
pub(super) fn template(usage: KeyUsage) -> Vec<u8> {
    let mut out = TAG_KEY12.to_be_bytes().to_vec();
    out.extend(usage.number().to_be_bytes());
    out.extend(0u32.to_be_bytes());
    out.push(AUTH_ALWAYS);
    out.extend(rsa::parameters(usage.scheme()));
    // No PCRs, no public key, no private one.
    out.extend([0; 12]);
    out
}

/// A key as the TPM wrapped it: only this TPM can load it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    bytes: Vec<u8>,
    usage: KeyUsage,
    public: RsaPublic,
}

impl WrappedKey {
    /// Reads one that fills `bytes`.
    ///
    /// # Errors
    /// What is cut off, too much, or another kind of key.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.finish("encData")?;
        Ok(key)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let whole = reader.clone().remaining();
        let before = whole.len();
        let begin = reader.u32("the tag of TPM_KEY12")?;
        if begin != TAG_KEY12 && begin != VERSION_KEY {
            return Err(Malformed(format!(
                "a key begins with {begin:#010x}: neither TPM_KEY12 nor TPM_KEY"
            )));
        }
        let number = reader.u16("keyUsage")?;
        reader.u32("keyFlags")?;
        reader.u8("authDataUsage")?;
        let scheme = rsa::read_parameters(reader)?;
        reader.sized("PCRInfo")?;
        let modulus = reader.sized("pubKey")?;
        let modulus = modulus
            .try_into()
            .map_err(|_| Malformed(format!("a key has {} bytes", modulus.len())))?;
        reader.sized("encData")?;
        let usage = KeyUsage::ALL
            .into_iter()
            .find(|usage| usage.number() == number && usage.scheme() == scheme)
            .ok_or_else(|| Malformed(format!("a key is for {number:#06x} with another scheme")))?;
        let length = before.saturating_sub(reader.clone().remaining().len());
        Ok(Self {
            bytes: whole.get(..length).unwrap_or(whole).to_vec(),
            usage,
            public: RsaPublic::new(scheme, modulus),
        })
    }

    /// The bytes, for [`Tpm12::with_key`] in a later boot.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is for.
    pub const fn usage(&self) -> KeyUsage {
        self.usage
    }

    /// The public half.
    pub const fn public(&self) -> &RsaPublic {
        &self.public
    }
}

impl Tpm12 {
    /// Makes a key under the storage root key, with a secret of its own.
    ///
    /// # Errors
    /// [`Tpm12Error::BadAnswer`] for another kind than asked for; or what the TPM says: `AUTH_FAIL` for a
    /// wrong secret of the storage root key. Identity keys are made by [`Tpm12::make_identity`].
    pub fn create_key(
        &mut self,
        srk_secret: &Secret,
        usage: KeyUsage,
        secret: &Secret,
    ) -> Result<WrappedKey, Tpm12Error> {
        // A secret for migration is asked for and never used: the key cannot migrate.
        let unused = self.nonce()?;
        let mut session = self.open_osap(Entity::Key(SRK_HANDLE), srk_secret)?;
        let parameters = [&session.encrypt(secret)[..], &unused, &template(usage)].concat();
        let command = Command::new(CREATE_WRAP_KEY, &[SRK_HANDLE], &parameters);
        let answer = self.run_with(command, &mut [Use::last(&mut session)])?;
        let key = WrappedKey::parse(&answer.parameters).map_err(bad_answer(CREATE_WRAP_KEY))?;
        if key.usage != usage {
            return Err(bad_answer(CREATE_WRAP_KEY)(Malformed(format!(
                "a key for {:?} was made, {usage:?} was asked for",
                key.usage
            ))));
        }
        Ok(key)
    }

    /// Loads a key that is under the storage root key, does something with its handle, and flushes it,
    /// whatever came of that.
    ///
    /// # Errors
    /// What `then` gives; or what the TPM says: `DECRYPT_ERROR` for another TPM's key.
    pub fn with_key<T>(
        &mut self,
        srk_secret: &Secret,
        key: &WrappedKey,
        then: impl FnOnce(&mut Self, u32) -> Result<T, Tpm12Error>,
    ) -> Result<T, Tpm12Error> {
        let command = Command {
            opens: Some(Resource::Key),
            ..Command::new(LOAD_KEY2, &[SRK_HANDLE], &key.bytes)
        };
        let handle = self.run_proving(command, &[srk_secret])?.handle;
        let done = then(self, handle);
        let flushed = self.flush(handle, Resource::Key);
        done.and_then(|value| flushed.map(|()| value))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::codec::sized, *};

    fn filled(usage: KeyUsage) -> Vec<u8> {
        let mut out = template(usage);
        out.truncate(out.len() - 8);
        out.extend(sized(&[1; rsa::MODULUS_LEN]));
        out.extend(sized(&[2; rsa::MODULUS_LEN]));
        out
    }

    #[test]
    fn a_key_is_cut_off_nowhere_and_is_for_what_it_says() {
        for usage in KeyUsage::ALL {
            let bytes = filled(usage);
            let key = WrappedKey::parse(&bytes).unwrap();
            assert_eq!((key.usage(), key.as_bytes()), (usage, &bytes[..]));
            for end in 0..bytes.len() {
                assert!(WrappedKey::parse(&bytes[..end]).is_err());
            }
            // What stands behind it is not its own.
            let more = [&bytes[..], &[9]].concat();
            let read = WrappedKey::read(&mut Reader::new(&more)).unwrap();
            assert_eq!(read, key);
            assert!(WrappedKey::parse(&more).is_err());
        }
        let mut other = filled(KeyUsage::Storage);
        other[5] = 0x12;
        assert!(WrappedKey::parse(&other).is_err(), "signs and decrypts");
        other[5] = 0x99;
        assert!(WrappedKey::parse(&other).is_err());
        // Without a key in it.
        assert!(WrappedKey::parse(&template(KeyUsage::Storage)).is_err());
    }
}
