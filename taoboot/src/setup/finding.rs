//! One thing that a measured boot needs: is it there, and if not, what to do.

use std::fmt;

use serde::Serialize;

/// Is it there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ready,
    Missing,
    /// It cannot be told from here.
    Unknown,
}

/// What was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub state: State,
    pub found: String,
    /// What a person does next.
    pub todo: Option<String>,
}

impl Finding {
    pub fn ready(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Ready,
            found: found.into(),
            todo: None,
        }
    }

    pub fn missing(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Missing,
            found: found.into(),
            todo: Some(todo.into()),
        }
    }

    pub fn unknown(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            ..Self::missing(what, found, todo)
        }
    }
}

/// A line, and what to do below it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ready => "ready",
            State::Missing => "MISSING",
            State::Unknown => "unknown",
        };
        let found = printable::line(&self.found);
        writeln!(f, "{state:<8} {:<10} {found}", self.what)?;
        match &self.todo {
            Some(todo) => writeln!(f, "{:<19} -> {}", "", printable::line(todo)),
            None => Ok(()),
        }
    }
}
