//! The `log` crate's messages of the resident process, in the kernel log.

use std::{fs::OpenOptions, io::Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct KernelLog;

/// Sends messages from now on to /dev/kmsg.
pub fn install() {
    // Only fails when there is a logger already, which is then the one that was wanted.
    if log::set_logger(&KernelLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for KernelLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // tss-esapi reports answers that we expect, such as "no such key", as errors.
        metadata.level() <= Level::Info && !metadata.target().starts_with("tss_esapi")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 3,
            Level::Warn => 4,
            _ => 6,
        };
        let text = printable::line(record.args());
        if let Ok(mut kmsg) = OpenOptions::new().write(true).open("/dev/kmsg") {
            // Nobody is left to tell when the log itself fails.
            drop(kmsg.write_all(format!("<{level}>taoboot: {text}\n").as_bytes()));
        }
    }

    fn flush(&self) {}
}
