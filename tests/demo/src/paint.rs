//! Colour for terminals, and none for files, pipes and people who set `NO_COLOR`.

use std::io::IsTerminal;

/// Puts escape sequences around text, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Never any colour.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { on: false }
    }

    /// Colour if standard output is a terminal whose user did not say no (no-color.org).
    pub fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        Self {
            on: std::io::stdout().is_terminal() && !refused && !dumb,
        }
    }

    /// What is as it should be.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What is not.
    pub fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Headings.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What only some readers want.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Bars and what needs a second look.
    pub fn accent(self, text: &str) -> String {
        self.with("36", text)
    }

    /// A check mark or a cross.
    pub fn mark(self, good: bool) -> String {
        if good {
            self.good("✓")
        } else {
            self.bad("✗")
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
