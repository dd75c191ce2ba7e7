//! A file is copied and hashed in one go: one thread reads and hashes it, piece by piece; another
//! writes the same pieces to the copy.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    sync::{
        Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sched::{sched_getaffinity, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use sha2::{Digest, Sha256};

use crate::measure::sealed_memory::seal;

/// Bytes of a piece.
const PIECE: usize = 32 * 1024;
const PIECES: usize = 4;

/// The pieces of the last copy, for the next: memory that was not used before costs more than
/// to read into it.
static SPARE: Mutex<Vec<Piece>> = Mutex::new(Vec::new());

/// How often in a row a thread looks for the other's work before it sleeps in between.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_micros(200);

/// Waits until `look` finds something. A slow disk is not waited for with all of a processor.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut waits = 0_u32;
    loop {
        if let Some(found) = look() {
            return found;
        }
        waits = waits.saturating_add(1);
        match waits {
            ..=PATIENCE => thread::yield_now(),
            _ => thread::sleep(PAUSE),
        }
    }
}

/// This thread leaves that processor, if it may use others: for as long as two threads give way
/// to each other, the system sees no reason to have one of them run elsewhere.
fn leave(processor: usize) -> nix::Result<()> {
    let this = Pid::from_raw(0);
    let mut others = sched_getaffinity(this)?;
    others.unset(processor)?;
    sched_setaffinity(this, &others)
}

/// A part of the file.
#[derive(Default)]
struct Piece(Vec<u8>);

impl Piece {
    /// Reads the next part, of at most `most` bytes: is there anything more?
    fn read(&mut self, mut source: &File, most: u64) -> io::Result<bool> {
        let most = usize::try_from(most).map_or(PIECE, |most| most.min(PIECE));
        let Piece(memory) = self;
        memory.resize(PIECE, 0);
        let mut length = 0_usize;
        while let Some(space) = memory.get_mut(length..most)
            && !space.is_empty()
        {
            match source.read(space) {
                Ok(0) => break,
                Ok(count) => length = length.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        memory.truncate(length);
        Ok(length > 0)
    }
}

/// Says so at its end, also by a panic: the other thread waits for that.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The pieces between the threads, which are used in turns.
struct Ring {
    pieces: [RwLock<Piece>; PIECES],
    /// How many were read.
    read: AtomicU64,
    /// How many were written; these can be used again.
    written: AtomicU64,
    /// No more will be read.
    complete: AtomicBool,
    /// No more will be written.
    given_up: AtomicBool,
}

impl Ring {
    fn new() -> Self {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        Ring {
            // Where none is spare it is a new one.
            pieces: std::array::from_fn(|_| RwLock::new(spare.pop().unwrap_or_default())),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
    }

    fn place(&self, number: u64) -> Option<&RwLock<Piece>> {
        let place = number.checked_rem(PIECES as u64)?;
        self.pieces.get(usize::try_from(place).ok()?)
    }

    /// Waits for the place of piece `number`; there is none if no more will be written.
    fn free_place(&self, number: u64) -> Option<&RwLock<Piece>> {
        wait_for(|| {
            if self.given_up.load(Ordering::Acquire) {
                return Some(None);
            }
            let used = number.saturating_sub(self.written.load(Ordering::Acquire));
            (used < PIECES as u64).then(|| self.place(number))
        })
    }

    /// Reads `most` bytes at most, and hashes them.
    fn hash(&self, source: &File, mut most: u64) -> io::Result<[u8; 32]> {
        let _complete = AtTheEnd(&self.complete);
        let mut hash = Sha256::new();
        for number in 0.. {
            let Some(place) = self.free_place(number) else {
                break;
            };
            let mut piece = place.write().unwrap_or_else(PoisonError::into_inner);
            if !piece.read(source, most)? {
                break;
            }
            drop(piece);
            self.read.store(number.saturating_add(1), Ordering::Release);
            let piece = place.read().unwrap_or_else(PoisonError::into_inner);
            hash.update(&piece.0);
            most = most.saturating_sub(piece.0.len() as u64);
        }
        Ok(hash.finalize().into())
    }

    /// Waits for piece `number`; there is none if no more will be read.
    fn full_place(&self, number: u64) -> Option<&RwLock<Piece>> {
        wait_for(|| {
            // In this order: what is complete does not grow.
            let complete = self.complete.load(Ordering::Acquire);
            if self.read.load(Ordering::Acquire) > number {
                return Some(self.place(number));
            }
            complete.then_some(None)
        })
    }

    /// Writes all that is read: how many bytes.
    fn write(&self, mut copy: &File) -> io::Result<u64> {
        let _given_up = AtTheEnd(&self.given_up);
        let mut length = 0_u64;
        for number in 0.. {
            let Some(place) = self.full_place(number) else {
                break;
            };
            let piece = place.read().unwrap_or_else(PoisonError::into_inner);
            copy.write_all(&piece.0)?;
            length = length.saturating_add(piece.0.len() as u64);
            drop(piece);
            self.written
                .store(number.saturating_add(1), Ordering::Release);
        }
        Ok(length)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        // Several copies at once had more.
        let wanted = PIECES.saturating_sub(spare.len());
        let pieces = self.pieces.iter_mut().take(wanted);
        spare.extend(
            pieces.map(|piece| {
                std::mem::take(piece.get_mut().unwrap_or_else(PoisonError::into_inner))
            }),
        );
    }
}

/// Copies at most `most` bytes and one more, which tells that there are more, into memory that
/// nobody else may write to, and seals it. Gives the number of bytes and their SHA-256.
pub(crate) fn copy_and_hash(source: &File, most: u64, copy: &File) -> io::Result<(u64, [u8; 32])> {
    let ring = Ring::new();
    let (written, hashing_on) = (OnceLock::new(), sched_getcpu());
    let hashed = thread::scope(|scope| -> io::Result<_> {
        let write = || {
            if let Err(error) = hashing_on.and_then(leave) {
                log::trace!("a program is copied and hashed by one processor: {error}");
            }
            let length = ring.write(copy);
            // By the thread that wrote: the kernel would first have every other processor
            // finish with the pages that were written there.
            let sealed = length.and_then(|length| seal(copy).map(|()| length));
            written.get_or_init(|| sealed);
        };
        let thread = thread::Builder::new().name("tao-copy".to_owned());
        let thread = thread.spawn_scoped(scope, write)?;
        let hashed = ring.hash(source, most.saturating_add(1));
        // Not joined: to sleep until it is gone and to be woken takes longer than to look.
        wait_for(|| thread.is_finished().then_some(()));
        Ok(hashed)
    })?;
    let failed = || Err(io::Error::other("the thread that copies has ended"));
    let length = written.into_inner().unwrap_or_else(failed)?;
    Ok((length, hashed?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Seek as _, Write as _},
        os::unix::fs::FileExt as _,
    };

    use super::*;
    use crate::measure::sealed_memory::sealable_memory;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn memory() -> File {
        sealable_memory(c"copy").unwrap()
    }

    #[test]
    fn the_copy_is_the_file_and_the_hash_that_of_the_copy_for_any_length() {
        for pieces in [0, 1, PIECES, PIECES + 1, 40] {
            for more in [-1, 0, 1] {
                let Some(length) = (pieces * PIECE).checked_add_signed(more) else {
                    continue;
                };
                let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                let mut copy = memory();
                let copied = copy_and_hash(&file(&bytes), 1 << 30, &copy).unwrap();
                copy.rewind().unwrap();
                let mut written = Vec::new();
                copy.read_to_end(&mut written).unwrap();
                assert!(written == bytes, "{length}");
                let expected: [u8; 32] = Sha256::digest(&bytes).into();
                assert_eq!(copied, (length as u64, expected));
            }
        }
    }

    #[test]
    fn of_a_file_that_is_being_written_to_the_hash_is_still_that_of_the_copy() {
        let source = file(&[0; 300_000]);
        let over = AtomicBool::new(false);
        let mut torn = 0;
        thread::scope(|scope| {
            let _over = AtTheEnd(&over);
            scope.spawn(|| {
                for byte in (0..=255).cycle() {
                    if over.load(Ordering::Acquire) {
                        return;
                    }
                    source.write_all_at(&[byte; 300_000], 0).unwrap();
                }
            });
            for _ in 0..1000 {
                let mut copy = memory();
                let (_, sha256) = copy_and_hash(&source, 1 << 30, &copy).unwrap();
                (&source).rewind().unwrap();
                copy.rewind().unwrap();
                let mut written = Vec::new();
                copy.read_to_end(&mut written).unwrap();
                let expected: [u8; 32] = Sha256::digest(&written).into();
                assert_eq!(sha256, expected);
                torn += u32::from(written.first() != written.last());
                if torn == 20 {
                    break;
                }
            }
        });
        assert!(torn > 0, "it was never changed meanwhile");
    }

    #[test]
    fn the_copy_is_sealed_when_its_hash_is_known() {
        let mut copy = memory();
        copy_and_hash(&file(&[7; 300_000]), 1 << 30, &copy).unwrap();
        copy.rewind().unwrap();
        assert!(copy.write_all(b"x").is_err());
        assert!(copy.set_len(0).is_err());
    }

    #[test]
    fn one_byte_too_many_is_copied_and_no_more() {
        for most in [0, 100, PIECE as u64, 2 * PIECE as u64 - 1] {
            let copy = memory();
            let copied = copy_and_hash(&file(&[7; 3 * PIECE]), most, &copy).unwrap();
            assert_eq!(copied.0, most + 1);
            assert_eq!(copy.metadata().unwrap().len(), most + 1);
        }
    }

    #[test]
    fn an_error_of_the_copy_or_of_the_source_is_told_and_nothing_hangs() {
        let full = File::options()
            .read(true)
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = copy_and_hash(&file(&[7; 300_000]), 1 << 30, &full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let folder = File::open("/").unwrap();
        let error = copy_and_hash(&folder, 1 << 30, &memory()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        // Memory that can't be sealed.
        let file = file(&[7; 300_000]);
        assert!(copy_and_hash(&file, 1 << 30, &tempfile::tempfile().unwrap()).is_err());
    }
}
