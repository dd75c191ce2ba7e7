//! Reading parts of a disk.

use std::io::{self, Read, Seek, SeekFrom};

/// A device, or a file that is one's image.
pub trait Disk: Read + Seek {}

impl<T: Read + Seek> Disk for T {}

/// A part of a disk that was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It lies beyond the end.
    #[error("{length} bytes at {offset} are wanted of a device of {size} bytes")]
    Beyond {
        /// Where they begin.
        offset: u64,
        /// How many.
        length: u64,
        /// What the device has.
        size: u64,
    },
    /// The device answers with an error.
    #[error("cannot read the device at {offset}")]
    Failed {
        /// Where.
        offset: u64,
        /// What it says.
        source: io::Error,
    },
}

/// The size of a disk in bytes.
///
/// # Errors
/// If it cannot be asked for its end.
pub fn size(disk: &mut dyn Disk) -> Result<u64, ReadError> {
    disk.seek(SeekFrom::End(0))
        .map_err(|source| ReadError::Failed { offset: 0, source })
}

/// Reads `length` bytes at `offset`. Memory is taken only for what the disk has.
///
/// # Errors
/// If they are not all there, or the device fails.
pub fn read(disk: &mut dyn Disk, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
    let size = size(disk)?;
    let beyond = ReadError::Beyond {
        offset,
        length,
        size,
    };
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(beyond);
    }
    let Ok(length) = usize::try_from(length) else {
        return Err(beyond);
    };
    let failed = |source| ReadError::Failed { offset, source };
    disk.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = vec![0; length];
    disk.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_is_beyond_the_end_is_refused_before_memory_is_taken() {
        let mut disk = Cursor::new(vec![7; 10]);
        assert_eq!(read(&mut disk, 8, 2).unwrap(), [7, 7]);
        for (offset, length) in [(8, 3), (11, 0), (0, u64::MAX), (u64::MAX, 1), (0, 1 << 60)] {
            let error = read(&mut disk, offset, length).unwrap_err();
            assert!(matches!(error, ReadError::Beyond { size: 10, .. }));
        }
    }
}
