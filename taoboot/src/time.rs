//! Dates of records.

use std::time::{SystemTime, UNIX_EPOCH};

pub use commands::date::minute as date;

/// Seconds since 1970; 0 on a machine whose clock is before that.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
