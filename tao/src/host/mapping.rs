//! A file's bytes in this process's memory, without a copy of them.
#![allow(unsafe_code)]

use std::{fs::File, io, num::NonZeroUsize, os::fd::AsRawFd, ptr::NonNull};

use nix::{
    errno::Errno,
    libc::{self, c_void},
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
};

/// The bytes of a file, for reading.
pub(super) struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    /// Maps the first `length` bytes. Not every file can be mapped, and no empty one.
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).ok().and_then(NonZeroUsize::new);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        // All pages at once: one fault for each would take as long as copying it.
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, flags, file, 0) }?;
        Ok(Mapping { start, length })
    }

    /// Appends the bytes to a file. If the mapped file has become shorter meanwhile that is
    /// an error: the kernel reads the bytes, not this process, which would be ended.
    pub(super) fn write_to(&self, file: &File) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self
            .length
            .get()
            .checked_sub(written)
            .filter(|rest| *rest > 0)
        {
            // SAFETY: within the mapping; nothing else is read.
            let count = unsafe {
                let from = self.start.as_ptr().cast_const().byte_add(written);
                libc::write(file.as_raw_fd(), from, rest)
            };
            match Errno::result(count) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count.unsigned_abs(),
                Err(Errno::EINTR) => {}
                Err(Errno::EFAULT) => {
                    let sentence = "it became shorter while it was read, or the disk failed";
                    return Err(io::Error::other(sentence));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The bytes.
    ///
    /// # Safety
    /// Neither they nor the file's length may change: the file is memory sealed against both.
    pub(super) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: readable for as long as this exists; unchanged, as the caller knows.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `of` has mapped, and borrowed by nobody any more.
        if let Err(error) = unsafe { munmap(self.start, self.length.get()) } {
            log::error!("munmap: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn all_bytes_are_written_and_an_empty_file_is_refused() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(Mapping::of(&file, 0).is_err());
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        file.write_all(&bytes).unwrap();
        let mapping = Mapping::of(&file, bytes.len() as u64).unwrap();
        let mut copy = tempfile::tempfile().unwrap();
        mapping.write_to(&copy).unwrap();
        copy.rewind().unwrap();
        let mut read = Vec::new();
        copy.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_ends_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let mapping = Mapping::of(&file, 100_000).unwrap();
        file.set_len(10).unwrap();
        let copy = tempfile::tempfile().unwrap();
        let error = mapping.write_to(&copy).unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
    }
}
