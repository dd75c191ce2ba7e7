//! Event logs: what was extended into which PCR, in every form in which a TXT host keeps it.
//!
//! A log is untrusted: nothing follows from it until it replays to the PCRs (see [`replay`]).
//!
//! * [`container`]: TPM 1.2, the "TXT Event Container" of the TXT heap.
//! * [`stream`]: one digest an event: TPM 1.2 firmware logs, TXT's legacy logs of TPM 2.0.
//! * [`crypto_agile`]: several digests an event, TCG's log: TXT's and the firmware's
//!   (`binary_bios_measurements`).
//! * [`text`]: what `txt-stat` and tboot print.
//! * [`heap`]: the TXT heap of the running machine.
//! * [`event_type`]: the numbers of the event types that a launch has.
//! * [`names`]: what the event types mean.
//! * [`replay`]: from events to PCR values, and where they first differ.

mod banks;
pub mod container;
pub mod crypto_agile;
mod error;
mod event;
pub mod event_type;
pub mod heap;
pub mod names;
pub mod replay;
pub mod stream;
pub mod text;

pub use error::{LogError, MAX_LEN};
pub use event::{
    EV_NO_ACTION, EventLog, EventText, EventTextError, Format, LogEvent, NOT_EXTENDED,
};

impl EventLog {
    /// Reads a log in whatever form it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > MAX_LEN {
            return Err(LogError::TooLong);
        }
        let log = if bytes.starts_with(container::SIGNATURE) {
            container::parse(bytes)?
        } else if text::looks_like(bytes) {
            text::parse(bytes)?
        } else if crypto_agile::looks_like(bytes) {
            crypto_agile::parse(bytes)?
        } else {
            stream::parse(bytes)?
        };
        if log.events.is_empty() {
            return Err(LogError::Empty);
        }
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_log_is_refused() {
        for bytes in [
            &b""[..],
            &[0; 64],
            b"hello, world",
            &[0xff; 100],
            b"%PDF-1.4 and so on and so on and so on",
        ] {
            assert!(EventLog::parse(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(
            EventLog::parse(&vec![0; MAX_LEN + 1]),
            Err(LogError::TooLong)
        );
    }
}
