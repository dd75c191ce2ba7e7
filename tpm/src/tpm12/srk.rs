//! The storage root key: its public half, and its secret, which people spell in several ways.
//!
//! Source: TPM Main, Part 3, sections 10.6 and 14.5.

use super::{
    Secret, Tpm12, Tpm12Error,
    command::{Command, Ordinal, bad_answer},
    return_code::ReturnCode,
    rsa::RsaPublic,
};

const GET_PUB_KEY: Ordinal = Ordinal(0x21, "TPM_GetPubKey");
const OWNER_READ_INTERNAL_PUB: Ordinal = Ordinal(0x81, "TPM_OwnerReadInternalPub");

/// TPM_KH_SRK: the storage root key.
pub(super) const SRK_HANDLE: u32 = 0x4000_0000;
/// TPM_KH_EK: the endorsement key.
const EK_HANDLE: u32 = 0x4000_0006;

/// A secret of the storage root key that everybody knows, in the spellings that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrkSpelling {
    /// 20 zero bytes: `tpm_takeownership -z`, and what tboot asks for.
    Zeros,
    /// SHA-1 of 20 zero bytes: `swtpm_setup --srk-well-known` (swtpm 0.7.1).
    HashOfZeros,
    /// SHA-1 of no bytes: `tpm_takeownership` with an empty password (trousers 0.3.15).
    HashOfNothing,
}

impl SrkSpelling {
    /// All, the usual first.
    pub const ALL: [Self; 3] = [Self::Zeros, Self::HashOfZeros, Self::HashOfNothing];

    /// The secret that it spells.
    pub fn secret(self) -> Secret {
        match self {
            Self::Zeros => Secret::well_known(),
            Self::HashOfZeros => Secret::from_password(&[0; 20]),
            Self::HashOfNothing => Secret::from_password(&[]),
        }
    }

    /// Its number in a record.
    pub const fn number(self) -> u8 {
        match self {
            Self::Zeros => 0,
            Self::HashOfZeros => 1,
            Self::HashOfNothing => 2,
        }
    }

    /// The spelling with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|spelling| spelling.number() == number)
    }
}

impl Tpm12 {
    /// The storage root key's public half. A TPM shows it to its owner; the answer has an HMAC that only
    /// a TPM with this owner can make.
    ///
    /// # Errors
    /// `AUTH_FAIL` for a wrong secret, `NO_SRK` where nobody has taken ownership.
    pub fn srk_public(&mut self, owner: &Secret) -> Result<RsaPublic, Tpm12Error> {
        self.internal_public(SRK_HANDLE, owner)
    }

    /// The endorsement key's public half, as the owner is shown it.
    ///
    /// # Errors
    /// As [`Tpm12::srk_public`].
    pub fn endorsement_public(&mut self, owner: &Secret) -> Result<RsaPublic, Tpm12Error> {
        self.internal_public(EK_HANDLE, owner)
    }

    fn internal_public(&mut self, handle: u32, owner: &Secret) -> Result<RsaPublic, Tpm12Error> {
        let ordinal = OWNER_READ_INTERNAL_PUB;
        let body = self.run_oiap(ordinal, &handle.to_be_bytes(), owner)?;
        RsaPublic::parse(&body).map_err(bad_answer(ordinal))
    }

    /// The public half of a loaded key, which its secret `authorizes`.
    ///
    /// # Errors
    /// `AUTH_FAIL` for a wrong secret, `INVALID_KEYHANDLE` where there is none, and for the storage root
    /// key of a TPM whose owner has not allowed it (readSRKPub).
    pub fn key_public(&mut self, handle: u32, secret: &Secret) -> Result<RsaPublic, Tpm12Error> {
        let handles = [handle];
        let command = Command::new(GET_PUB_KEY, &handles, &[]);
        let answer = self.run_proving(command, &[secret])?;
        RsaPublic::parse(&answer.parameters).map_err(bad_answer(GET_PUB_KEY))
    }

    /// How the storage root key's secret is spelled; `None` where it is none of those that everybody
    /// knows. Each wrong one may count as a guess, so this is for enrolling and not for booting.
    ///
    /// # Errors
    /// What the TPM says, other than that it is wrong.
    pub fn find_srk_spelling(
        &mut self,
        srk: &RsaPublic,
    ) -> Result<Option<SrkSpelling>, Tpm12Error> {
        for spelling in SrkSpelling::ALL {
            match self.proves_srk(srk, &spelling.secret()) {
                Ok(()) => return Ok(Some(spelling)),
                Err(error) if error.code() == Some(ReturnCode::AUTH_FAIL) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Opens and ends a transport session, which changes nothing and asks for the key's secret.
    fn proves_srk(&mut self, srk: &RsaPublic, secret: &Secret) -> Result<(), Tpm12Error> {
        let mut session = self.open_oiap(secret)?;
        self.wrap(srk, &mut session)?;
        self.unwrap_commands();
        self.close(&session);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_another_secret_and_has_a_number() {
        let secrets = SrkSpelling::ALL.map(|spelling| hex::encode(spelling.secret().bytes()));
        assert_eq!(
            secrets,
            [
                "0000000000000000000000000000000000000000",
                "6768033e216468247bd031a0a2d9876d79818f8f",
                "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            ]
        );
        for spelling in SrkSpelling::ALL {
            assert_eq!(SrkSpelling::from_number(spelling.number()), Some(spelling));
        }
        assert_eq!(SrkSpelling::from_number(3), None);
    }
}
