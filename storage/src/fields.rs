//! Fields at fixed places of a block, little-endian.

/// A block ends before a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of {length} bytes ends before its field at {offset}")]
pub struct Cut {
    length: usize,
    offset: usize,
}

/// Some bytes with numbers in them.
#[derive(Clone, Copy)]
pub struct Fields<'b>(pub &'b [u8]);

impl<'b> Fields<'b> {
    /// `length` bytes at `offset`.
    pub fn slice(self, offset: usize, length: usize) -> Result<&'b [u8], Cut> {
        let end = offset.checked_add(length);
        end.and_then(|end| self.0.get(offset..end)).ok_or(Cut {
            length: self.0.len(),
            offset,
        })
    }

    pub fn array<const N: usize>(self, offset: usize) -> Result<[u8; N], Cut> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(offset, N)?);
        Ok(array)
    }

    pub fn u16(self, offset: usize) -> Result<u16, Cut> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn u32(self, offset: usize) -> Result<u32, Cut> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn u64(self, offset: usize) -> Result<u64, Cut> {
        self.array(offset).map(u64::from_le_bytes)
    }
}
