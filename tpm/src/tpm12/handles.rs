//! What is loaded and open in the TPM, and that nothing of it stays there.

use super::{
    Tpm12, Tpm12Error,
    codec::{Malformed, Reader},
    command::{Ordinal, Resource},
};

const FLUSH_SPECIFIC: Ordinal = Ordinal(0xba, "TPM_FlushSpecific");

/// TPM_CAP_HANDLE.
const CAP_HANDLE: u32 = 0x14;

impl Tpm12 {
    /// Forgets what is loaded or open under this handle.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn flush(&mut self, handle: u32, kind: Resource) -> Result<(), Tpm12Error> {
        let parameters = [handle, kind.number()].map(u32::to_be_bytes).concat();
        self.run_plain(FLUSH_SPECIFIC, &[&parameters]).map(drop)
    }

    /// The handles of one kind that exist now. The storage root key is not among them.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn handles(&mut self, kind: Resource) -> Result<Vec<u32>, Tpm12Error> {
        self.capability_as(CAP_HANDLE, &kind.number().to_be_bytes(), parse_handles)
    }
}

/// TPM_KEY_HANDLE_LIST (Part 2, 5.6).
fn parse_handles(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.u16("loaded")?;
    let handles = (0..count)
        .map(|_| reader.u32("a handle"))
        .collect::<Result<_, _>>()?;
    reader.finish("the handles")?;
    Ok(handles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_as_many_handles_as_it_says() {
        assert_eq!(parse_handles(&[0, 1, 0, 0, 0, 7]), Ok(vec![7]));
        for bad in [&[][..], &[0, 2, 0, 0, 0, 7], &[0, 0, 0], &[255, 255]] {
            assert!(parse_handles(bad).is_err(), "{bad:?}");
        }
    }
}
