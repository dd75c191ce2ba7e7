//! The endorsement key, and taking ownership.
//!
//! Source: TPM Main, Part 3, sections 6.1 and 14.2.

use super::{
    Secret, Tpm12, Tpm12Error,
    codec::{Malformed, Reader, sized},
    command::{Ordinal, bad_answer},
    hash::sha1,
    key::{KeyUsage, WrappedKey, template},
    rsa::RsaPublic,
};

const TAKE_OWNERSHIP: Ordinal = Ordinal(0x0d, "TPM_TakeOwnership");
const READ_PUBEK: Ordinal = Ordinal(0x7c, "TPM_ReadPubek");

/// TPM_PID_OWNER.
const PROTOCOL_OWNER: u16 = 0x0005;

impl Tpm12 {
    /// The endorsement key's public half, as anybody is shown it before there is an owner. The answer is
    /// fresh, and authentic only as far as the key is known from elsewhere.
    ///
    /// # Errors
    /// `DISABLED_CMD` where there is an owner (use [`Tpm12::endorsement_public`]), `NO_ENDORSEMENT`.
    pub fn read_endorsement(&mut self) -> Result<RsaPublic, Tpm12Error> {
        let nonce = self.nonce()?;
        let body = self.run(READ_PUBEK, &[&nonce])?;
        let bad = bad_answer(READ_PUBEK);
        let mut reader = Reader::new(&body);
        let key = RsaPublic::read(&mut reader).map_err(&bad)?;
        let checksum: [u8; 20] = reader.array("checksum").map_err(&bad)?;
        let public = body.len().saturating_sub(checksum.len());
        reader.finish("checksum").map_err(&bad)?;
        let public = body.get(..public).unwrap_or(&body);
        if sha1(&[public, &nonce]) != checksum {
            return Err(bad(Malformed(
                "its checksum is not of this key and question".to_owned(),
            )));
        }
        Ok(key)
    }

    /// Makes `owner` the owner's secret and a new storage root key with the secret `srk`; gives the
    /// latter's public half. Both secrets are encrypted to the endorsement key, and the answer has an HMAC
    /// that only the TPM with its private half can make.
    ///
    /// # Errors
    /// `OWNER_SET` where there is an owner, `INSTALL_DISABLED`, `DISABLED`, `DEACTIVATED`.
    pub fn take_ownership(
        &mut self,
        endorsement: &RsaPublic,
        owner: &Secret,
        srk: &Secret,
    ) -> Result<RsaPublic, Tpm12Error> {
        let parameters = [
            &PROTOCOL_OWNER.to_be_bytes()[..],
            &sized(&endorsement.encrypt(owner.bytes())?),
            &sized(&endorsement.encrypt(srk.bytes())?),
            &template(KeyUsage::Storage),
        ]
        .concat();
        let body = self.run_oiap(TAKE_OWNERSHIP, &parameters, owner)?;
        let key = WrappedKey::parse(&body).map_err(bad_answer(TAKE_OWNERSHIP))?;
        Ok(key.public().clone())
    }
}
