//! The host's log goes to standard error when a person has started it.

use log::{LevelFilter, Log, Metadata, Record};

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= log::max_level() {
            eprintln!("tao: {}", record.args());
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
