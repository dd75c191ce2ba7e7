//! NV storage: define, release, write, read, lock.
//!
//! Source: TPM Main, Part 3, section 20.

use super::{
    Secret, Tpm12, Tpm12Error,
    codec::Reader,
    command::{Ordinal, bad_answer},
    nv_public::{Attributes, NvPublic},
};

const DEFINE_SPACE: Ordinal = Ordinal(0xcc, "TPM_NV_DefineSpace");
const WRITE_VALUE: Ordinal = Ordinal(0xcd, "TPM_NV_WriteValue");
const WRITE_VALUE_AUTH: Ordinal = Ordinal(0xce, "TPM_NV_WriteValueAuth");
const READ_VALUE: Ordinal = Ordinal(0xcf, "TPM_NV_ReadValue");
const READ_VALUE_AUTH: Ordinal = Ordinal(0xd0, "TPM_NV_ReadValueAuth");

/// TPM_NV_INDEX_LOCK: defining it switches the access checks of all indices on, for ever.
const INDEX_LOCK: u32 = 0xffff_ffff;
/// Most bytes in one read or write, so that a command fits every TPM 1.2.
const MAX_CHUNK: usize = 768;
/// Largest index that is read, in bytes; a TPM 1.2 has a few kilobytes of NV altogether.
const MAX_READ: u32 = 64 << 10;

/// What authorizes a read or write.
#[derive(Clone, Copy)]
pub enum NvAuth<'a> {
    /// Nothing.
    None,
    /// The owner's secret.
    Owner(&'a Secret),
    /// The index's own secret.
    Index(&'a Secret),
}

impl Tpm12 {
    /// Defines an index, with the owner's secret or (without one) where nothing guards the NV yet.
    /// `secret` is the index's own; [`Secret::well_known`] when it has none.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_FAIL` for a wrong owner's secret, `BAD_PRESENCE` when one is
    /// needed, `BAD_INDEX` for a reserved or existing number, `NO_SPACE` when it does not fit.
    pub fn nv_define(
        &mut self,
        public: &NvPublic,
        owner: Option<&Secret>,
        secret: &Secret,
    ) -> Result<(), Tpm12Error> {
        let parameters = public.to_bytes();
        let body = match owner {
            Some(owner) => self.run_osap(DEFINE_SPACE, &parameters, owner, secret)?,
            // Without a session there is no pad: the secret goes as it is.
            None => self.run(DEFINE_SPACE, &[&parameters, secret.bytes()])?,
        };
        empty(DEFINE_SPACE, &body)
    }

    /// Releases an index: it and its data are gone.
    ///
    /// # Errors
    /// As [`Tpm12::nv_define`].
    pub fn nv_release(&mut self, index: u32, owner: Option<&Secret>) -> Result<(), Tpm12Error> {
        let public = NvPublic::new(index, Attributes(0), 0);
        self.nv_define(&public, owner, &Secret::well_known())
    }

    /// Sets nvLocked: from now on the TPM checks who reads, writes and defines. This cannot be
    /// taken back.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_lock(&mut self) -> Result<(), Tpm12Error> {
        self.nv_release(INDEX_LOCK, None)
    }

    /// Writes `data` at `offset`. No bytes at all lock an index with WRITEDEFINE or WRITE_STCLEAR.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_CONFLICT` when the index wants another authorization,
    /// `AREA_LOCKED`, `BAD_LOCALITY`, `NO_SPACE` when the data reaches behind the index's end.
    pub fn nv_write(
        &mut self,
        index: u32,
        offset: u32,
        data: &[u8],
        auth: NvAuth<'_>,
    ) -> Result<(), Tpm12Error> {
        if data.is_empty() {
            return self.write_chunk(index, offset, data, auth);
        }
        let mut offset = offset;
        for chunk in data.chunks(MAX_CHUNK) {
            self.write_chunk(index, offset, chunk, auth)?;
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            offset = offset.saturating_add(length);
        }
        Ok(())
    }

    fn write_chunk(
        &mut self,
        index: u32,
        offset: u32,
        data: &[u8],
        auth: NvAuth<'_>,
    ) -> Result<(), Tpm12Error> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut parameters = [index, offset, length].map(u32::to_be_bytes).concat();
        parameters.extend_from_slice(data);
        match auth {
            NvAuth::None => {
                let body = self.run(WRITE_VALUE, &[&parameters])?;
                empty(WRITE_VALUE, &body)
            }
            NvAuth::Owner(secret) => {
                let body = self.run_oiap(WRITE_VALUE, &parameters, secret)?;
                empty(WRITE_VALUE, &body)
            }
            NvAuth::Index(secret) => {
                let body = self.run_oiap(WRITE_VALUE_AUTH, &parameters, secret)?;
                empty(WRITE_VALUE_AUTH, &body)
            }
        }
    }

    /// Reads `length` bytes at `offset`. What was never written reads 0xff.
    ///
    /// # Errors
    /// What the TPM says, as for [`Tpm12::nv_write`].
    pub fn nv_read(
        &mut self,
        index: u32,
        offset: u32,
        length: u32,
        auth: NvAuth<'_>,
    ) -> Result<Vec<u8>, Tpm12Error> {
        if length > MAX_READ {
            return Err(Tpm12Error::BadParameter(format!(
                "{length} bytes of NV cannot be read: at most {MAX_READ}"
            )));
        }
        let mut data = Vec::new();
        loop {
            let done = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let chunk = length
                .saturating_sub(done)
                .min(u32::try_from(MAX_CHUNK).unwrap_or(u32::MAX));
            data.extend(self.read_chunk(index, offset.saturating_add(done), chunk, auth)?);
            if done.saturating_add(chunk) >= length {
                return Ok(data);
            }
        }
    }

    fn read_chunk(
        &mut self,
        index: u32,
        offset: u32,
        length: u32,
        auth: NvAuth<'_>,
    ) -> Result<Vec<u8>, Tpm12Error> {
        let parameters = [index, offset, length].map(u32::to_be_bytes).concat();
        let (ordinal, body) = match auth {
            NvAuth::None => (READ_VALUE, self.run(READ_VALUE, &[&parameters])?),
            NvAuth::Owner(secret) => {
                let body = self.run_oiap(READ_VALUE, &parameters, secret)?;
                (READ_VALUE, body)
            }
            NvAuth::Index(secret) => {
                let body = self.run_oiap(READ_VALUE_AUTH, &parameters, secret)?;
                (READ_VALUE_AUTH, body)
            }
        };
        let mut reader = Reader::new(&body);
        let data = reader.sized("data").map_err(bad_answer(ordinal))?;
        reader.finish("data").map_err(bad_answer(ordinal))?;
        if u32::try_from(data.len()) != Ok(length) {
            return Err(bad_answer(ordinal)(super::Malformed(format!(
                "{} bytes were returned, {length} were requested",
                data.len()
            ))));
        }
        Ok(data.to_vec())
    }
}

fn empty(ordinal: Ordinal, body: &[u8]) -> Result<(), Tpm12Error> {
    Reader::new(body)
        .finish("the header")
        .map_err(bad_answer(ordinal))
}
