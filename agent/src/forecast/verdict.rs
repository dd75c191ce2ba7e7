//! What the machine will do with each entry of GRUB's menu, as `taoboot check-next-boot --json` prints it.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{forecast::Forecast, unlock::TokenId};

/// What the machine will do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Unlock itself.
    Unlock,
    /// Ask for a passphrase.
    Ask,
    /// Not boot.
    Stop,
    /// It cannot be told.
    Unknown,
}

/// The answers for a whole menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextBoot {
    /// The volume whose records were judged.
    pub volume: PathBuf,
    /// In the order of the menu.
    pub entries: Vec<Verdict>,
}

/// The answer for one entry, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Number and title.
    pub entry: String,
    /// What GRUB calls it, if it has an identifier.
    pub id: Option<String>,
    /// GRUB boots it when nobody chooses.
    pub default: bool,
    /// What will happen.
    pub verdict: Answer,
    /// The record that opens.
    pub record: Option<TokenId>,
    /// It opens with a PIN, which a person types.
    pub pin: bool,
    /// Why not, or what is worth knowing.
    pub why: String,
    /// Files that are not known on the encrypted root, one sentence each: no new record is made
    /// for the entry.
    pub unknown_files: Vec<String>,
    /// What /init and systemd will do; `None` for an entry that boots another initramfs.
    pub boot: Option<Forecast>,
}

impl Verdict {
    /// The same with what will happen when the disk is unlocked: a boot that stops, or asks all
    /// the same, is not a boot by itself.
    pub fn with_forecast(mut self, forecast: Option<Forecast>) -> Self {
        if let Some(forecast) = &forecast {
            let mut reasons = [
                forecast.stops.clone(),
                forecast.asks.clone(),
                forecast.unknown.clone(),
            ]
            .concat();
            if !self.why.is_empty() {
                reasons.push(std::mem::take(&mut self.why));
            }
            self.why = reasons.join("; ");
            if !forecast.stops.is_empty() {
                self.verdict = Answer::Stop;
            } else if !forecast.asks.is_empty() {
                self.verdict = Answer::Ask;
            } else if !forecast.unknown.is_empty() && self.verdict == Answer::Unlock {
                self.verdict = Answer::Unknown;
            }
        }
        self.boot = forecast;
        self
    }

    /// The same where something else than the records decides: without a record that opens, /init asks
    /// all the same.
    pub fn with_answer_if_it_unlocks(mut self, answer: Answer, why: &str) -> Self {
        if self.verdict == Answer::Unlock {
            self.verdict = answer;
            why.clone_into(&mut self.why);
        }
        self
    }

    /// The same with what is known of the pinned ACPI tables: where the TPM is not asked, /init asks.
    pub fn with_acpi_tables(mut self, objection: Option<&str>) -> Self {
        if let Some(why) = objection
            && matches!(self.verdict, Answer::Unlock | Answer::Unknown)
        {
            self.verdict = Answer::Ask;
            why.clone_into(&mut self.why);
        }
        self
    }

    /// The same with what is to be said of the files; where it asks, they are a reason.
    pub fn with_unknown(mut self, sentences: Vec<String>) -> Self {
        if self.verdict == Answer::Ask && !sentences.is_empty() {
            let files = sentences.join("; ");
            self.why = format!("{}; {files}", self.why);
        }
        self.unknown_files = sentences;
        self
    }
}

/// A line for the entry, its reason below.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.default { '*' } else { ' ' };
        write!(f, "{mark} {}: ", self.entry)?;
        match (self.verdict, self.record) {
            (Answer::Unlock, Some(record)) if self.pin => {
                writeln!(f, "will ask for the PIN, then unlock (record {record})")?;
            }
            (Answer::Unlock, Some(record)) => writeln!(f, "will unlock (record {record})")?,
            (Answer::Ask, _) => writeln!(f, "WILL ASK for a passphrase")?,
            (Answer::Stop, _) => writeln!(f, "WILL NOT BOOT")?,
            _ => writeln!(f, "cannot be told")?,
        }
        if !self.why.is_empty() {
            writeln!(f, "      {}", self.why)?;
        }
        for note in self.boot.iter().flat_map(|boot| &boot.notes) {
            writeln!(f, "      note: {note}")?;
        }
        if self.verdict != Answer::Ask {
            for sentence in &self.unknown_files {
                writeln!(f, "      {sentence}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlocks() -> Verdict {
        Verdict {
            entry: "Debian".into(),
            id: None,
            default: true,
            verdict: Answer::Unlock,
            record: None,
            pin: false,
            why: String::new(),
            unknown_files: Vec::new(),
            boot: None,
        }
    }

    #[test]
    fn what_cannot_be_told_of_root_is_no_promise_and_hides_nothing_worse() {
        let unknown = Forecast {
            unknown: vec!["it cannot be read".into()],
            ..Forecast::default()
        };
        let verdict = unlocks().with_forecast(Some(unknown.clone()));
        assert_eq!(verdict.verdict, Answer::Unknown);
        let text = verdict.to_string();
        assert!(
            text.contains("cannot be told") && text.contains("cannot be read"),
            "{text}"
        );
        for (forecast, answer) in [
            (Forecast::default(), Answer::Unlock),
            (
                Forecast {
                    asks: vec!["a".into()],
                    ..unknown.clone()
                },
                Answer::Ask,
            ),
            (
                Forecast {
                    stops: vec!["s".into()],
                    ..unknown.clone()
                },
                Answer::Stop,
            ),
        ] {
            assert_eq!(unlocks().with_forecast(Some(forecast)).verdict, answer);
        }
        let asks = Verdict {
            verdict: Answer::Ask,
            ..unlocks()
        };
        assert_eq!(asks.with_forecast(Some(unknown)).verdict, Answer::Ask);
    }
}
