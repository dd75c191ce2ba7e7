//! Platform configuration registers, and random numbers.

use zeroize::Zeroizing;

use super::{
    Tpm12, Tpm12Error,
    codec::{Bytes20, Malformed, Reader},
    command::{Ordinal, bad_answer},
};

const EXTEND: Ordinal = Ordinal(0x14, "TPM_Extend");
const PCR_READ: Ordinal = Ordinal(0x15, "TPM_PCRRead");
const GET_RANDOM: Ordinal = Ordinal(0x46, "TPM_GetRandom");

/// Most random bytes in one call.
const MAX_RANDOM: usize = 1 << 16;

impl Tpm12 {
    /// The value of a PCR.
    ///
    /// # Errors
    /// `BAD_INDEX` when there is no such PCR.
    pub fn pcr_read(&mut self, pcr: u32) -> Result<Bytes20, Tpm12Error> {
        let body = self.run(PCR_READ, &[&pcr.to_be_bytes()])?;
        one_digest(PCR_READ, &body)
    }

    /// Extends a PCR: it becomes SHA1(old || digest). Returns the new value.
    ///
    /// # Errors
    /// `BAD_LOCALITY` for PCR 17 to 22 from Linux, `BAD_INDEX` when there is no such PCR.
    pub fn pcr_extend(&mut self, pcr: u32, digest: &Bytes20) -> Result<Bytes20, Tpm12Error> {
        let body = self.run(EXTEND, &[&pcr.to_be_bytes(), digest])?;
        one_digest(EXTEND, &body)
    }

    /// Random bytes. The TPM may give fewer than asked for; then it is asked again.
    ///
    /// # Errors
    /// What the TPM says; [`Tpm12Error::BadAnswer`] when it gives none or too many.
    pub fn random(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, Tpm12Error> {
        if length > MAX_RANDOM {
            return Err(Tpm12Error::BadParameter(format!(
                "{length} random bytes are too many: at most {MAX_RANDOM} at a time"
            )));
        }
        // Its room is reserved: growing would leave copies behind that nobody wipes.
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        while out.len() < length {
            let wanted = length.saturating_sub(out.len()).min(256);
            let claimed = u32::try_from(wanted).unwrap_or(u32::MAX);
            let body = Zeroizing::new(self.run(GET_RANDOM, &[&claimed.to_be_bytes()])?);
            let mut reader = Reader::new(&body);
            let bytes = reader
                .sized("randomBytes")
                .map_err(bad_answer(GET_RANDOM))?;
            reader
                .finish("randomBytes")
                .map_err(bad_answer(GET_RANDOM))?;
            if bytes.is_empty() || bytes.len() > wanted {
                return Err(bad_answer(GET_RANDOM)(Malformed(format!(
                    "{} random bytes were returned, expected 1 to {wanted}",
                    bytes.len()
                ))));
            }
            out.extend_from_slice(bytes);
        }
        Ok(out)
    }
}

fn one_digest(ordinal: Ordinal, body: &[u8]) -> Result<Bytes20, Tpm12Error> {
    let mut reader = Reader::new(body);
    let digest = reader.array("the digest").map_err(bad_answer(ordinal))?;
    reader.finish("the digest").map_err(bad_answer(ordinal))?;
    Ok(digest)
}
