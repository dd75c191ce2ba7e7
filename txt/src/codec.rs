//! Reading the packed binary formats: every step is checked against what is left, every refusal
//! says where, what was expected and what was found.

/// Bytes that are not what their format says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end too early.
    #[error("{what} at offset {offset:#x} needs {needed} bytes, but only {left} are left")]
    Truncated {
        /// The field or structure that is cut off.
        what: &'static str,
        /// Where it begins, in bytes from the begin of the file.
        offset: usize,
        /// Its length, in bytes.
        needed: usize,
        /// What is left, in bytes.
        left: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{field} at offset {offset:#x} is {found:#x}, expected {expected}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// Where it is, in bytes from the begin of the file.
        offset: usize,
        /// What it may be.
        expected: String,
        /// What it is.
        found: u64,
    },
    /// More bytes than the format has.
    #[error("{count} bytes too many follow {what} at offset {offset:#x}")]
    Trailing {
        /// What they follow.
        what: &'static str,
        /// Where they begin, in bytes from the begin of the file.
        offset: usize,
        /// How many there are.
        count: usize,
    },
    /// Parts that do not go together or do not fit into their fields.
    #[error("{0}")]
    Parts(String),
}

/// Takes fields off the front of some bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole file.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader {
            rest: bytes,
            offset: 0,
        }
    }

    /// Where the next field begins, in bytes from the begin of the file.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn take(&mut self, what: &'static str, count: usize) -> Result<&'a [u8], FormatError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let (offset, left) = (self.offset, self.rest.len());
            return Err(FormatError::Truncated {
                what,
                offset,
                needed: count,
                left,
            });
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(count);
        Ok(taken)
    }

    /// A reader of the next `count` bytes only; this one goes on behind them.
    pub fn part(&mut self, what: &'static str, count: usize) -> Result<Self, FormatError> {
        let offset = self.offset;
        Ok(Reader {
            rest: self.take(what, count)?,
            offset,
        })
    }

    /// The next bytes as an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let (offset, left) = (self.offset, self.rest.len());
        let taken = self.take(what, N)?;
        taken.first_chunk().copied().ok_or(FormatError::Truncated {
            what,
            offset,
            needed: N,
            left,
        })
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, FormatError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Two bytes, big-endian, as TPM structures have them.
    pub fn u16_be(&mut self, field: &'static str) -> Result<u16, FormatError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// Four bytes, big-endian.
    pub fn u32_be(&mut self, field: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// Bytes that must be zero.
    pub fn zeros(&mut self, field: &'static str, count: usize) -> Result<(), FormatError> {
        let offset = self.offset;
        for (position, byte) in self.take(field, count)?.iter().enumerate() {
            if *byte != 0 {
                return Err(value(field, offset.saturating_add(position), "0", *byte));
            }
        }
        Ok(())
    }

    /// A hash algorithm's TPM number, little-endian.
    pub fn hash_alg(&mut self) -> Result<crate::hash::HashAlg, FormatError> {
        let offset = self.offset;
        let number = self.u16("hash_alg")?;
        crate::hash::HashAlg::from_tpm_alg(number).map_err(|_| {
            let expected = "0x4 (sha1), 0xb (sha256), 0xc (sha384), 0xd (sha512) or 0x12 (sm3)";
            value("hash_alg", offset, expected, number)
        })
    }

    /// A digest of a known algorithm.
    pub fn digest(
        &mut self,
        what: &'static str,
        alg: crate::hash::HashAlg,
    ) -> Result<crate::hash::Digest, FormatError> {
        let taken = self.take(what, alg.digest_len())?;
        crate::hash::Digest::new(alg, taken).map_err(|error| FormatError::Parts(error.to_string()))
    }

    /// Nothing may be left.
    pub fn finish(self, what: &'static str) -> Result<(), FormatError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(FormatError::Trailing {
                what,
                offset: self.offset,
                count,
            }),
        }
    }
}

/// The error of a field with an impossible value.
pub fn value(
    field: &'static str,
    offset: usize,
    expected: impl Into<String>,
    found: impl Into<u64>,
) -> FormatError {
    FormatError::Value {
        field,
        offset,
        expected: expected.into(),
        found: found.into(),
    }
}

/// A length as the 16 bits that a count field has.
pub fn count16(what: &'static str, count: usize) -> Result<u16, FormatError> {
    u16::try_from(count)
        .map_err(|_| FormatError::Parts(format!("{count} {what} do not fit: at most 65535")))
}

/// A length as the 32 bits that a size field has.
pub fn size32(what: &'static str, size: usize) -> Result<u32, FormatError> {
    u32::try_from(size)
        .map_err(|_| FormatError::Parts(format!("{what} of {size} bytes does not fit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_errors_say_where() {
        let mut reader = Reader::new(&[1, 2, 0, 0, 3, 4, 9]);
        assert_eq!(reader.u16("a"), Ok(0x201));
        assert_eq!(reader.zeros("reserved", 2), Ok(()));
        assert_eq!(reader.u16_be("b"), Ok(0x304));
        assert_eq!(
            reader.u32("c").unwrap_err().to_string(),
            "c at offset 0x6 needs 4 bytes, but only 1 are left"
        );
        assert!(matches!(
            reader.clone().finish("all"),
            Err(FormatError::Trailing { count: 1, .. })
        ));
        assert_eq!(
            reader.zeros("d", 1).unwrap_err().to_string(),
            "d at offset 0x6 is 0x9, expected 0"
        );
    }

    #[test]
    fn a_part_keeps_the_files_offsets() {
        let mut reader = Reader::new(&[0; 8]);
        reader.take("head", 3).unwrap();
        let mut part = reader.part("part", 2).unwrap();
        assert_eq!((part.offset(), reader.offset()), (3, 5));
        assert!(part.u32("x").is_err());
    }
}
