//! The bytes of TPM 1.2 commands and responses: big-endian, length first, nothing trusted.
//!
//! Source: TPM Main, Part 2 (Structures), section 6 (tags) and Part 3 (Commands).

/// Longest command or response, in bytes; the interface of a TPM 1.2 takes about 1100.
pub const MAX_LEN: usize = 4096;
/// Length of tag, length and ordinal or return code, in bytes.
pub const HEADER_LEN: usize = 10;
/// Length of a nonce, a secret and an HMAC, in bytes.
pub const DIGEST_LEN: usize = 20;

/// A nonce, a digest or an HMAC.
pub type Bytes20 = [u8; DIGEST_LEN];

/// TPM_TAG_RQU_COMMAND.
pub(super) const TAG_COMMAND: u16 = 0x00c1;
/// TPM_TAG_RQU_AUTH1_COMMAND.
pub(super) const TAG_AUTH1_COMMAND: u16 = 0x00c2;
/// TPM_TAG_RQU_AUTH2_COMMAND.
pub(super) const TAG_AUTH2_COMMAND: u16 = 0x00c3;
/// TPM_TAG_RSP_COMMAND.
const TAG_RESPONSE: u16 = 0x00c4;
/// TPM_TAG_RSP_AUTH1_COMMAND.
const TAG_AUTH1_RESPONSE: u16 = 0x00c5;
/// TPM_TAG_RSP_AUTH2_COMMAND.
const TAG_AUTH2_RESPONSE: u16 = 0x00c6;
/// Length of an authorization trailer of a response, in bytes.
pub(super) const TRAILER_LEN: usize = 2 * DIGEST_LEN + 1;

/// What was wrong with bytes from a TPM: `what` was cut off or had an impossible value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A 32-bit length and the bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Takes big-endian fields off the front of some bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn take(&mut self, what: &str, count: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let left = self.rest.len();
            return Err(Malformed(format!(
                "{what} needs {count} bytes, but only {left} are left"
            )));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes as an array.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Malformed> {
        let taken = self.take(what, N)?;
        taken
            .first_chunk()
            .copied()
            .ok_or_else(|| Malformed(format!("{what} is cut off")))
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn u8(&mut self, what: &str) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    /// A BOOL: 0 or 1.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn flag(&mut self, what: &str) -> Result<bool, Malformed> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Malformed(format!("{what} is {found}, expected 0 or 1"))),
        }
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn u64(&mut self, what: &str) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn u16(&mut self, what: &str) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn u32(&mut self, what: &str) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// A structure's tag.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn tag(&mut self, what: &str, expected: u16) -> Result<(), Malformed> {
        let found = self.u16(what)?;
        if found != expected {
            return Err(Malformed(format!(
                "the tag of {what} is {found:#06x}, expected {expected:#06x}"
            )));
        }
        Ok(())
    }

    /// A 32-bit length and so many bytes.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn sized(&mut self, what: &str) -> Result<&'a [u8], Malformed> {
        let length = self.u32(what)?;
        let length = usize::try_from(length)
            .map_err(|_| Malformed(format!("{what} claims {length} bytes")))?;
        self.take(what, length)
    }

    /// Everything that is left.
    pub fn remaining(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn finish(self, what: &str) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(Malformed(format!("{count} bytes too many follow {what}"))),
        }
    }
}

/// A response: its return code, and what follows the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// TPM_RESULT; 0 is success.
    pub code: u32,
    /// How many authorization trailers it has: 0, 1 or 2.
    pub trailers: usize,
    /// Handles and parameters, and the authorization trailers behind them.
    pub body: &'a [u8],
}

/// The authorization trailer of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// nonceEven: the TPM's new nonce.
    pub nonce_even: Bytes20,
    /// continueAuthSession, as it came.
    pub continue_session: u8,
    /// The HMAC.
    pub hmac: Bytes20,
}

impl<'a> Response<'a> {
    /// Reads a whole response.
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not what the specification allows.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let tag = reader.u16("the tag")?;
        let trailers = match tag {
            TAG_RESPONSE => 0,
            TAG_AUTH1_RESPONSE => 1,
            TAG_AUTH2_RESPONSE => 2,
            _ => {
                return Err(Malformed(format!(
                    "the tag is {tag:#06x}, expected 0x00c4 to 0x00c6: not a TPM 1.2"
                )));
            }
        };
        let claimed = reader.u32("the length")?;
        if usize::try_from(claimed) != Ok(bytes.len()) {
            return Err(Malformed(format!(
                "the length is given as {claimed} bytes, but {} came",
                bytes.len()
            )));
        }
        let code = reader.u32("the return code")?;
        let body = reader.remaining();
        if code != 0 && (trailers != 0 || !body.is_empty()) {
            return Err(Malformed(format!(
                "return code {code:#x} comes with {} more bytes",
                body.len()
            )));
        }
        Ok(Response {
            code,
            trailers,
            body,
        })
    }

    /// Splits the body into what stands before the trailers, and these: as many as `expected`.
    ///
    /// # Errors
    /// [`Malformed`], where there are more or fewer, or they are cut off.
    pub fn split(&self, expected: usize) -> Result<(&'a [u8], Vec<Trailer>), Malformed> {
        if self.trailers != expected {
            return Err(Malformed(format!(
                "the response has {} authorizations, the command had {expected}",
                self.trailers
            )));
        }
        let trailers = expected.saturating_mul(TRAILER_LEN);
        let parameters = self.body.len().checked_sub(trailers);
        let (parameters, trailers) = parameters
            .and_then(|length| self.body.split_at_checked(length))
            .ok_or_else(|| Malformed("the authorization is cut off".to_owned()))?;
        let mut reader = Reader::new(trailers);
        let trailers = (0..expected).map(|_| {
            Ok(Trailer {
                nonce_even: reader.array("nonceEven")?,
                continue_session: reader.u8("continueAuthSession")?,
                hmac: reader.array("resAuth")?,
            })
        });
        Ok((parameters, trailers.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_response_must_have_the_length_it_claims() {
        let good = [0, 0xc4, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];
        let parsed = Response::parse(&good).unwrap();
        assert_eq!((parsed.code, parsed.body), (0, &[7u8, 8][..]));
        for end in 0..good.len() {
            assert!(Response::parse(&good[..end]).is_err(), "{end}");
        }
        let tpm2 = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0];
        assert!(
            Response::parse(&tpm2)
                .unwrap_err()
                .0
                .contains("not a TPM 1.2")
        );
        assert!(parsed.split(1).is_err());
    }

    #[test]
    fn an_error_carries_nothing() {
        assert_eq!(
            Response::parse(&[0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 1])
                .unwrap()
                .code,
            1
        );
        assert!(Response::parse(&[0, 0xc4, 0, 0, 0, 11, 0, 0, 0, 1, 0]).is_err());
        assert!(Response::parse(&[0, 0xc5, 0, 0, 0, 10, 0, 0, 0, 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_consistent(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(response) = Response::parse(&bytes) {
                prop_assert_eq!(response.body.len() + HEADER_LEN, bytes.len());
                if let Ok((parameters, trailers)) = response.split(response.trailers) {
                    prop_assert_eq!(trailers.len(), response.trailers);
                    prop_assert_eq!(parameters.len() + 41 * trailers.len(), response.body.len());
                }
            }
        }
    }
}
