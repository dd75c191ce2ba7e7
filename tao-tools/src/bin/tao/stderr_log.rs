//! The host's log goes to standard error when a person has started it.

use std::io::Write as _;

use log::{LevelFilter, Log, Metadata, Record};

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= log::max_level() {
            // As a whole: standard error has no buffer, and others write there too.
            let line = format!("tao: {}\n", printable::line(record.args()));
            // Nobody can be told that it cannot be told.
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
    }

    fn flush(&self) {}
}

/// From now on messages are printed.
pub fn install() {
    static LOG: StandardError = StandardError;
    // A second call finds it installed already.
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
