//! Why was this a measured launch, or none: TXT's registers, and what tboot and txt-stat print.
//!
//! * [`errorcode`]: TXT.ERRORCODE in words.
//! * [`registers`]: TXT's public registers, printed or in memory.
//! * [`remarks`]: the lines of tboot that decide.
//! * [`launch_log`]: a whole text.

pub mod errorcode;
pub mod launch_log;
pub mod registers;
pub mod remarks;

pub use errorcode::ErrorCode;
pub use launch_log::LaunchLog;
pub use registers::{Register, Registers};
