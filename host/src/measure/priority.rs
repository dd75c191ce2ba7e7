//! Long work that nobody's answer may wait for: at a lower priority than the rest of the host.
#![allow(unsafe_code)]

use std::thread;

use nix::{errno::Errno, libc};

/// What is shorter is done before another thread for it would have begun.
const LONG: u64 = 4 << 20;
/// Added to the niceness: the calls of programs come first, and still a tenth of a busy processor is left.
const NICENESS: libc::c_int = 10;

/// Reads and hashes so many bytes. Long work is done by a thread that ends with it: a priority
/// that was lowered cannot always be raised again.
pub(crate) fn gently<T: Send>(bytes: u64, work: impl FnOnce() -> T + Send) -> T {
    if bytes <= LONG {
        return work();
    }
    thread::scope(|scope| {
        let lowered = move || {
            Errno::clear();
            // SAFETY: an integer only; on Linux this is about the calling thread. What it gives
            // may be -1 without any error.
            let set = unsafe { libc::nice(NICENESS) };
            let error = Errno::last();
            if set == -1 && error != Errno::from_raw(0) {
                log::debug!("a program is measured at the usual priority: {error}");
            }
            work()
        };
        match scope.spawn(lowered).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_done_at_a_lower_priority_and_the_rest_is_as_before() {
        // proc_pid_stat(5): the 19th field, the 17th behind the name.
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit(") ").next().unwrap().to_owned();
            fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = niceness();
        assert_eq!(gently(1, niceness), before);
        assert_eq!(gently(LONG + 1, niceness), (before + NICENESS).min(19));
        assert_eq!(niceness(), before);
    }
}
