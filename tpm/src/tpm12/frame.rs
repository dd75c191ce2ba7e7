//! A command as it is sent.

use super::{
    codec::{HEADER_LEN, MAX_LEN},
    error::Tpm12Error,
};

/// A command with its header; refused when it would be longer than [`MAX_LEN`].
pub(super) fn framed(tag: u16, ordinal: u32, body: &[&[u8]]) -> Result<Vec<u8>, Tpm12Error> {
    let length = body
        .iter()
        .fold(HEADER_LEN, |length, part| length.saturating_add(part.len()));
    let claimed = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_LEN)
        .ok_or_else(|| {
            Tpm12Error::BadParameter(format!(
                "a command of {length} bytes is too long: a TPM 1.2 accepts at most {MAX_LEN}"
            ))
        })?;
    let mut out = Vec::with_capacity(length);
    out.extend(tag.to_be_bytes());
    out.extend(claimed.to_be_bytes());
    out.extend(ordinal.to_be_bytes());
    for part in body {
        out.extend_from_slice(part);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tpm12::codec::TAG_COMMAND;

    #[test]
    fn commands_are_bounded() {
        assert!(framed(TAG_COMMAND, 1, &[&[0; MAX_LEN]]).is_err());
        assert_eq!(
            framed(TAG_COMMAND, 10, &[]).unwrap(),
            [0, 0xc1, 0, 0, 0, 10, 0, 0, 0, 10]
        );
    }
}
