//! The event log as `txt-stat` and tboot print it, on the serial port too.
//!
//! tboot prints the log that it finds, then each event that it adds, and older versions the whole
//! log again at the end. A later listing of the same bank is the more complete one, so the last one
//! counts, with the events printed behind it.

use std::collections::BTreeMap;

use tpm::pcr::Bank;

use super::{EV_NO_ACTION, EventLog, Format, LogError, LogEvent};

/// The words that only such a text has.
const MARKS: [&str; 2] = ["PCRIndex:", "pcr_index:"];

/// Is it such a text?
pub fn looks_like(bytes: &[u8]) -> bool {
    let contains = |mark: &str| {
        bytes
            .windows(mark.len())
            .any(|part| part == mark.as_bytes())
    };
    MARKS.into_iter().any(contains)
}

/// Which log an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Single(Bank),
    Agile,
}

/// Reads a text.
pub fn parse(bytes: &[u8]) -> Result<EventLog, LogError> {
    let text = String::from_utf8_lossy(bytes);
    let mut reading = Reading::default();
    for (number, line) in text.lines().enumerate() {
        // A serial port's log may have anything in front of tboot's own words.
        let line = line.rsplit_once("TBOOT:").map_or(line, |(_, rest)| rest);
        reading.line(number.saturating_add(1), line.trim())?;
    }
    reading.finish_event()?;
    reading.log()
}

#[derive(Default)]
struct Reading {
    sections: BTreeMap<Kind, Vec<LogEvent>>,
    /// A listing has begun and has no event yet.
    fresh: bool,
    event: Option<Partial>,
}

struct Partial {
    line: usize,
    agile: bool,
    pcr: Option<u32>,
    event_type: Option<u32>,
    digests: Vec<Vec<u8>>,
    /// What the next hexadecimal bytes are.
    expects: Expects,
    data: Vec<u8>,
    /// Set by the line that ends the fixed part of an event.
    data_len: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Nothing,
    Digest(Option<usize>),
    Data,
}

fn number(line: usize, what: &str, text: &str) -> Result<u32, LogError> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| LogError::Text {
        line,
        what: format!("{what} {text:?} is not a number"),
    })
}

/// Bytes as tboot prints them: pairs of digits with blanks between.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let pair = |word: &str| match word.len() {
        2 => u8::from_str_radix(word, 16).ok(),
        _ => None,
    };
    text.split_ascii_whitespace().map(pair).collect()
}

impl Reading {
    fn line(&mut self, number_of_line: usize, line: &str) -> Result<(), LogError> {
        let (word, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match word.trim() {
            "Event" | "TCG Event" if value.is_empty() && line.ends_with(':') => {
                self.finish_event()?;
                self.event = Some(Partial::new(number_of_line, word.starts_with("TCG")));
                return Ok(());
            }
            // A listing begins.
            "Log Descrption" | "Event Log Container" | "TCG Event Log Header" => {
                self.finish_event()?;
                self.fresh = true;
                return Ok(());
            }
            _ => {}
        }
        match &mut self.event {
            Some(event) => event.line(number_of_line, line, word.trim(), value)?,
            None => return Ok(()),
        }
        if self.event.as_ref().is_some_and(Partial::is_complete) {
            self.finish_event()?;
        }
        Ok(())
    }

    fn finish_event(&mut self) -> Result<(), LogError> {
        let Some(partial) = self.event.take() else {
            return Ok(());
        };
        let Some((kind, event)) = partial.event()? else {
            return Ok(());
        };
        // Also the first record of a legacy log, which looks like a SHA-1 event.
        if event.event_type == EV_NO_ACTION {
            return Ok(());
        }
        if self.fresh {
            self.sections.remove(&kind);
            self.fresh = false;
        }
        self.sections.entry(kind).or_default().push(event);
        Ok(())
    }

    fn log(self) -> Result<EventLog, LogError> {
        let mut sections = self.sections;
        let agile = sections.remove(&Kind::Agile);
        let mut log = match agile {
            Some(events) => EventLog {
                format: Format::Text,
                events,
            },
            None => {
                let logs = sections.into_values().map(|events| EventLog {
                    format: Format::Text,
                    events,
                });
                EventLog::merge(logs.collect())?
            }
        };
        log.format = Format::Text;
        Ok(log)
    }
}

impl Partial {
    fn new(line: usize, agile: bool) -> Self {
        Self {
            line,
            agile,
            pcr: None,
            event_type: None,
            digests: Vec::new(),
            expects: Expects::Nothing,
            data: Vec::new(),
            data_len: None,
        }
    }

    fn line(
        &mut self,
        number_of_line: usize,
        line: &str,
        word: &str,
        value: &str,
    ) -> Result<(), LogError> {
        let at = number_of_line;
        match word {
            "PCRIndex" | "pcr_index" => self.pcr = Some(number(at, "PCR", value)?),
            "Type" | "event_type" => self.event_type = Some(number(at, "type", value)?),
            "Digest" => return self.hex(at, Expects::Digest(None), value),
            "SHA1" => return self.hex(at, Expects::Digest(Some(20)), value),
            "SHA256" => return self.hex(at, Expects::Digest(Some(32)), value),
            "SHA384" => return self.hex(at, Expects::Digest(Some(48)), value),
            // Other banks are left out.
            "SM3_256" | "SHA512" => self.expects = Expects::Nothing,
            "Data" | "event_data" => {
                let len = value.split_ascii_whitespace().next().unwrap_or_default();
                self.data_len = Some(number(at, "length", len)? as usize);
                self.expects = Expects::Data;
            }
            _ if self.expects != Expects::Nothing => return self.hex(at, self.expects, line),
            _ => {}
        }
        Ok(())
    }

    /// Has everything come that belongs to it?
    fn is_complete(&self) -> bool {
        self.data_len.is_some_and(|len| self.data.len() >= len)
    }

    fn hex(&mut self, line: usize, expects: Expects, text: &str) -> Result<(), LogError> {
        self.expects = expects;
        if text.is_empty() {
            return Ok(());
        }
        let Some(bytes) = bytes_of(text) else {
            // Something else was printed in between, or the event's data are at their end.
            self.expects = Expects::Nothing;
            return Ok(());
        };
        match expects {
            Expects::Nothing => {}
            Expects::Digest(len) => {
                let known: &[usize] = match len {
                    Some(len) => &[len],
                    None => &[20, 32, 48],
                };
                if !known.contains(&bytes.len()) {
                    let what = format!("a digest of {} bytes, expected {known:?}", bytes.len());
                    return Err(LogError::Text { line, what });
                }
                self.digests.push(bytes);
                self.expects = Expects::Nothing;
            }
            Expects::Data => {
                let room = self.data_len.unwrap_or(0).saturating_sub(self.data.len());
                self.data.extend(bytes.into_iter().take(room));
            }
        }
        Ok(())
    }

    /// The event; `None` for one without a digest of a known bank.
    fn event(self) -> Result<Option<(Kind, LogEvent)>, LogError> {
        let cut = |what: &str| LogError::Text {
            line: self.line,
            what: format!("the event that begins here has no {what}: the text is cut off"),
        };
        let pcr = self.pcr.ok_or_else(|| cut("PCR"))?;
        let event_type = self.event_type.ok_or_else(|| cut("type"))?;
        let no_digest = cut("digest");
        if self.data_len.is_none() {
            return Err(cut("data length"));
        }
        let mut digests = BTreeMap::new();
        for digest in self.digests {
            let bank = match digest.len() {
                20 => Bank::Sha1,
                32 => Bank::Sha256,
                _ => Bank::Sha384,
            };
            digests.insert(bank, digest);
        }
        let kind = match (self.agile, digests.keys().next()) {
            (_, None) if event_type == EV_NO_ACTION => return Ok(None),
            (_, None) => return Err(no_digest),
            (true, Some(_)) => Kind::Agile,
            (false, Some(bank)) => Kind::Single(*bank),
        };
        Ok(Some((
            kind,
            LogEvent {
                pcr,
                event_type,
                digests,
                data: self.data,
            },
        )))
    }
}
