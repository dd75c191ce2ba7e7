//! Options that do nothing without another one, or beside another one: whoever gives such an option
//! relies on it, and is told.

/// An option was given that would have done nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    option: &'static str,
    because: &'static str,
}

impl std::fmt::Display for Idle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} does nothing {}", self.option, self.because)
    }
}

impl std::error::Error for Idle {}

/// An error for the first of these options that is given. `because` goes on a sentence:
/// `without --entry`.
pub fn refuse_idle(options: &[(&'static str, bool)], because: &'static str) -> Result<(), Idle> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Idle { option, because }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_option_that_is_given_is_named() {
        let refused = refuse_idle(&[("--a", false), ("--b", true)], "without --c");
        assert_eq!(
            refused.map_err(|idle| idle.to_string()),
            Err("--b does nothing without --c".to_owned())
        );
        assert_eq!(refuse_idle(&[("--a", false)], "without --c"), Ok(()));
    }
}
