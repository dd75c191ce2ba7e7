//! Large buffers that are used again: a new one costs a page fault for each of its pages, every
//! time. A few are kept for the whole process, so that a thousand connections that once had a
//! large message keep none.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A buffer larger than this is not kept by a connection.
pub const LARGE: usize = 64 * 1024;
/// A buffer larger than this is kept by nobody.
const LARGEST: usize = 192 * 1024;
/// How many are kept: more than there are threads at work.
const MOST: usize = 8;

static IDLE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Whole vectors are put in and taken out.
fn idle() -> MutexGuard<'static, Vec<Vec<u8>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer that somebody has given, or a new one. What is in it is not worth anything.
pub fn take() -> Vec<u8> {
    // Default: a new one, where none is idle.
    idle().pop().unwrap_or_default()
}

/// Gives a buffer to whoever needs one next. No secret may be left in it.
pub fn give(buffer: Vec<u8>) {
    if (LARGE..=LARGEST).contains(&buffer.capacity()) {
        let mut idle = idle();
        if idle.len() < MOST {
            idle.push(buffer);
        }
    }
}

/// Makes space at the end of `buffer`.
pub fn reserve(buffer: &mut Vec<u8>, additional: usize) {
    let needed = buffer.len().saturating_add(additional);
    if needed <= LARGE || needed <= buffer.capacity() {
        return buffer.reserve(additional);
    }
    let mut larger = take();
    larger.clear();
    larger.reserve(needed);
    larger.extend_from_slice(buffer);
    let mut small = std::mem::replace(buffer, larger);
    crate::secret_bytes::wipe(&mut small);
    give(small);
}
