//! The part of protocol buffers, version 2, that prost leaves out: required fields.
//!
//! prost fills in a default where a required field is missing; Go refuses the message.
//! [`read`] refuses it too.

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtoError {
    /// Not a protocol buffers message of this kind.
    #[error("not a {message} message: {reason}")]
    Malformed {
        /// The message's name.
        message: &'static str,
        /// What prost says.
        reason: String,
    },
    /// A required field is missing.
    #[error("proto: required field \"{field}\" not set in {message}")]
    Missing {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },
}

/// A message with required fields.
pub trait Proto2: prost::Message + Default {
    /// The message's name.
    const NAME: &'static str;
    /// Number and name of each required field. Numbers are below 64.
    const REQUIRED: &'static [(u32, &'static str)];
    /// Number of a field that is itself a message with required fields, and their list.
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] = &[];
}

/// Reads a message; all its required fields must be there.
///
/// # Errors
/// When it is something else, or a required field is missing.
pub fn read<M: Proto2>(bytes: &[u8]) -> Result<M, ProtoError> {
    let malformed = |reason: String| ProtoError::Malformed {
        message: M::NAME,
        reason,
    };
    let message = M::decode(bytes).map_err(|error| malformed(error.to_string()))?;
    require::<M>(bytes, M::REQUIRED)?;
    for (number, required) in M::NESTED {
        for field in Fields(bytes).flatten() {
            if field.number == *number {
                require::<M>(field.bytes, required)?;
            }
        }
    }
    Ok(message)
}

fn require<M: Proto2>(bytes: &[u8], required: &[(u32, &'static str)]) -> Result<(), ProtoError> {
    let mut seen = 0_u64;
    for field in Fields(bytes) {
        let field = field.map_err(|()| ProtoError::Malformed {
            message: M::NAME,
            reason: "a field is cut off or of an unknown wire type".to_owned(),
        })?;
        if field.number < 64 {
            seen |= 1 << field.number;
        }
    }
    match required
        .iter()
        .find(|(number, _)| seen & (1 << number) == 0)
    {
        None => Ok(()),
        Some((_, field)) => Err(ProtoError::Missing {
            message: M::NAME,
            field,
        }),
    }
}

/// One field on the wire; `bytes` is empty for numbers.
pub(super) struct Field<'a> {
    pub number: u32,
    pub bytes: &'a [u8],
    /// Bytes with a length in front: text, bytes or a message.
    pub is_bytes: bool,
    /// All of the field, its number included.
    pub whole: &'a [u8],
}

/// Walks over the fields of a message without interpreting them.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of a message; an error and no more where it cannot be taken apart.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Fields(message)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            // Ten groups of seven bits: the last one is shifted by 63.
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let start = self.0;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok()?;
        let bytes = match key & 7 {
            0 => {
                self.varint()?;
                &[]
            }
            1 => self.take(8)?,
            2 => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)?
            }
            5 => self.take(4)?,
            _ => return None,
        };
        let whole = start.get(..start.len().checked_sub(self.0.len())?)?;
        Some(Field {
            number,
            bytes,
            is_bytes: key & 7 == 2,
            whole,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{RequestHeader, SignedData};
    use proptest::prelude::*;

    #[test]
    fn a_missing_required_field_is_named() {
        let error = read::<RequestHeader>(&[0x0a, 1, b'x']).unwrap_err();
        assert_eq!(
            error,
            ProtoError::Missing {
                message: "ProtoRPCRequestHeader",
                field: "seq"
            }
        );
        assert!(read::<RequestHeader>(&[0x0a, 1, b'x', 0x10, 0]).is_ok());
    }

    #[test]
    fn a_missing_field_of_a_nested_message_is_named() {
        let error = read::<SignedData>(&[0x0a, 0, 0x12, 0]).unwrap_err();
        assert_eq!(
            error,
            ProtoError::Missing {
                message: "SignedData",
                field: "header.version"
            }
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(read::<SignedData>(&bytes));
            drop(read::<RequestHeader>(&bytes));
        }
    }
}
