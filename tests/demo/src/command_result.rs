//! What became of a command that the booted machine was told to run.

use serde::Deserialize;

/// One command of the orders, as the probe tells it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct CommandResult {
    /// Nothing when a signal or the time limit ended it.
    pub code: Option<i64>,
    pub stdout: String,
    pub stderr: String,
    pub error: Option<String>,
    pub seconds: f64,
}

impl CommandResult {
    /// Why it failed, in its words.
    pub fn said(&self) -> String {
        let words = [
            self.error.as_deref().unwrap_or_default(),
            &self.stderr,
            &self.stdout,
        ];
        let mut words = words.map(str::trim).into_iter();
        let said = words.find(|said| !said.is_empty());
        said.unwrap_or("it said nothing").to_owned()
    }
}
