//! What a test may do only as root.

use std::{fs, os::unix::fs::MetadataExt};

/// Is this root? Where not, standard error says that the test is skipped; the caller returns. That
/// is not a failure anywhere: an ordinary user may run all tests.
pub fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        eprintln!("skipped: only root can do this");
    }
    is_root
}
