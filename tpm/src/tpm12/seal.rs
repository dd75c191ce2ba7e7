//! Sealing to registers and localities, and unsealing.
//!
//! By themselves these commands carry the secret in the clear over the bus: [`super::KnownTpm12`]
//! sends them inside of a transport session. Source: TPM Main, Part 3, sections 10.1 and 10.2.

use zeroize::Zeroizing;

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::{Entity, Session, Use},
    codec::{Malformed, Reader, sized},
    command::{Command, Ordinal, bad_answer},
    pcr_info::PcrInfoLong,
    srk::SRK_HANDLE,
};

const SEAL: Ordinal = Ordinal(0x17, "TPM_Seal");
const UNSEAL: Ordinal = Ordinal(0x18, "TPM_Unseal");

/// TPM_TAG_STORED_DATA12.
const TAG_STORED_DATA: u16 = 0x0016;
/// Most bytes that are sealed; the storage root key encrypts at most 149 beside what belongs to it.
pub const MAX_SEALED: usize = 128;

/// A sealed secret: TPM_STORED_DATA12, and what it says of its release. The TPM compares that with a
/// hash in the encrypted part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlob {
    bytes: Vec<u8>,
    info: PcrInfoLong,
}

impl SealedBlob {
    /// Reads one that fills `bytes`.
    ///
    /// # Errors
    /// What is cut off, too much, or has an impossible value.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag("TPM_STORED_DATA12", TAG_STORED_DATA)?;
        reader.tag("the entity type", 0)?;
        let info = PcrInfoLong::parse(reader.sized("sealInfo")?)?;
        reader.sized("encData")?;
        reader.finish("encData")?;
        Ok(Self {
            bytes: bytes.to_vec(),
            info,
        })
    }

    /// The bytes, which only the TPM that made them can open.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it was sealed in and for.
    pub const fn info(&self) -> &PcrInfoLong {
        &self.info
    }
}

impl Tpm12 {
    /// Seals 1 to [`MAX_SEALED`] bytes under the storage root key, with a secret of the blob's own.
    ///
    /// # Errors
    /// [`Tpm12Error::BadParameter`] for another length, [`Tpm12Error::BadAnswer`] where the TPM sealed to
    /// something else; or what the TPM says: `AUTH_FAIL` for a wrong secret of the key.
    pub fn seal(
        &mut self,
        srk_secret: &Secret,
        blob_secret: &Secret,
        info: &PcrInfoLong,
        data: &[u8],
    ) -> Result<SealedBlob, Tpm12Error> {
        if data.is_empty() || data.len() > MAX_SEALED {
            return Err(Tpm12Error::BadParameter(format!(
                "a secret of {} bytes cannot be sealed: 1 to {MAX_SEALED} bytes fit",
                data.len()
            )));
        }
        let mut session = self.open_osap(Entity::Key(SRK_HANDLE), srk_secret)?;
        let mut parameters = Zeroizing::new(Vec::with_capacity(256));
        parameters.extend(session.encrypt(blob_secret));
        parameters.extend(sized(&info.to_bytes()));
        parameters.extend_from_slice(&Zeroizing::new(sized(data)));
        let command = Command::new(SEAL, &[SRK_HANDLE], &parameters);
        let answer = self.run_with(command, &mut [Use::last(&mut session)])?;
        let blob = SealedBlob::parse(&answer.parameters).map_err(bad_answer(SEAL))?;
        if !blob.info.releases_as(info) {
            return Err(bad_answer(SEAL)(Malformed(
                "it was sealed to other registers or localities".to_owned(),
            )));
        }
        Ok(blob)
    }

    /// Releases what was sealed.
    ///
    /// # Errors
    /// What the TPM says: `WRONG_PCR_VALUE` and `BAD_LOCALITY` where the machine is not in that state,
    /// `NOT_SEALED_BLOB` or `DECRYPT_ERROR` for a blob of another TPM, `AUTH_FAIL` for a wrong secret of
    /// the key and `AUTH2_FAIL` for one of the blob.
    pub fn unseal(
        &mut self,
        srk_secret: &Secret,
        blob_secret: &Secret,
        blob: &SealedBlob,
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let srk = self.open_oiap(srk_secret)?;
        self.unseal_in(srk, blob_secret, blob)
    }

    /// The same in a session that proves the key's secret already, and ends with this.
    pub(super) fn unseal_in(
        &mut self,
        mut srk: Session,
        blob_secret: &Secret,
        blob: &SealedBlob,
    ) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        let mut own = self
            .open_oiap(blob_secret)
            .inspect_err(|_| self.close(&srk))?;
        let command = Command::new(UNSEAL, &[SRK_HANDLE], &blob.bytes);
        let answer = self.run_with(command, &mut [Use::last(&mut srk), Use::last(&mut own)])?;
        let mut reader = Reader::new(&answer.parameters);
        let secret = reader.sized("secret").map_err(bad_answer(UNSEAL))?;
        reader.finish("secret").map_err(bad_answer(UNSEAL))?;
        Ok(Zeroizing::new(secret.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bank, PcrValues};

    #[test]
    fn a_blob_is_cut_off_nowhere_and_bounded_by_itself() {
        let info = PcrInfoLong::new(&PcrValues::new(Bank::Sha1)).to_bytes();
        let bytes = [&[0, 0x16, 0, 0][..], &sized(&info), &sized(&[7; 256])].concat();
        let blob = SealedBlob::parse(&bytes).unwrap();
        assert_eq!(blob.as_bytes(), bytes);
        for end in 0..bytes.len() {
            assert!(SealedBlob::parse(&bytes[..end]).is_err());
        }
        assert!(SealedBlob::parse(&[&bytes[..], &[0]].concat()).is_err());
        let mut claims = bytes;
        claims[62..66].copy_from_slice(&[0xff; 4]);
        assert!(SealedBlob::parse(&claims).is_err());
    }
}
