//! A file is copied by one thread and hashed by another, which reads the copy as it grows.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

/// What one thread copies before it tells the other.
const PIECE: u64 = 128 * 1024;
/// What is hashed at once. Small: memory that was not used before costs more than the calls it
/// saves.
const CHUNK: usize = 32 * 1024;

/// How often in a row the hashing thread looks before it sleeps in between.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_micros(200);

/// A copy, as far as it has grown.
struct Growing<'a> {
    copy: &'a File,
    length: AtomicU64,
    complete: AtomicBool,
}

impl Growing<'_> {
    fn grow(&self, mut source: &File, most: u64) -> io::Result<()> {
        let mut copy = self.copy;
        let mut length = 0;
        while length <= most {
            let piece = PIECE.min(most.saturating_add(1).saturating_sub(length));
            let count = io::copy(&mut source.by_ref().take(piece), &mut copy)?;
            if count == 0 {
                break;
            }
            length += count;
            self.length.store(length, Ordering::Release);
        }
        Ok(())
    }

    /// Hashes up to where it has grown, until it is complete.
    fn hash(&self) -> io::Result<(u64, [u8; 32])> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let (mut hashed, mut waits) = (0, 0_u32);
        loop {
            // In this order: what is complete does not grow.
            let complete = self.complete.load(Ordering::Acquire);
            let length = self.length.load(Ordering::Acquire);
            if hashed == length {
                if complete {
                    return Ok((length, hash.finalize().into()));
                }
                // A slow disk is not waited for with all of a processor.
                waits = waits.saturating_add(1);
                match waits {
                    ..=PATIENCE => thread::yield_now(),
                    _ => thread::sleep(PAUSE),
                }
                continue;
            }
            waits = 0;
            let most = usize::try_from(length - hashed).unwrap_or(CHUNK).min(CHUNK);
            let bytes = buffer.get_mut(..most).unwrap_or_default();
            self.copy.read_exact_at(bytes, hashed)?;
            hash.update(bytes);
            hashed += most as u64;
        }
    }
}

/// Completes it, also by a panic: the other thread waits for that.
struct Complete<'a>(&'a AtomicBool);

impl Drop for Complete<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Copies at most `most` bytes and one more, which tells that there are more. Gives the number
/// of bytes and the SHA-256 of the copy, which nobody else may write to.
pub(super) fn copy_and_hash(source: &File, most: u64, copy: &File) -> io::Result<(u64, [u8; 32])> {
    let growing = Growing {
        copy,
        length: AtomicU64::new(0),
        complete: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let copying = || {
            let _complete = Complete(&growing.complete);
            growing.grow(source, most)
        };
        let name = thread::Builder::new().name("tao-copy".to_owned());
        let copied = name.spawn_scoped(scope, copying)?;
        let hashed = growing.hash();
        let failed = |_| Err(io::Error::other("the thread that copies has ended"));
        copied.join().unwrap_or_else(failed)?;
        hashed
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn the_copy_is_the_file_and_the_hash_that_of_the_copy_for_any_length() {
        let piece = usize::try_from(PIECE).unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK + 1, piece, piece + 1, 9 * piece + 5] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut copy = file(b"");
            let copied = copy_and_hash(&file(&bytes), 1 << 30, &copy).unwrap();
            copy.rewind().unwrap();
            let mut written = Vec::new();
            copy.read_to_end(&mut written).unwrap();
            assert!(written == bytes, "{length}");
            let expected: [u8; 32] = Sha256::digest(&bytes).into();
            assert_eq!(copied, (length as u64, expected));
        }
    }

    #[test]
    fn one_byte_too_many_is_copied_and_no_more() {
        let copy = file(b"");
        assert_eq!(copy_and_hash(&file(&[7; 1000]), 100, &copy).unwrap().0, 101);
        assert_eq!(copy.metadata().unwrap().len(), 101);
    }

    #[test]
    fn an_error_of_the_copy_is_told_and_nothing_hangs() {
        let full = File::options()
            .read(true)
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = copy_and_hash(&file(&[7; 300_000]), 1 << 30, &full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
