//! An error and its causes as one sentence.
//!
//! Many errors have their cause in their own words already ("the log is damaged: ..."); to print the
//! chain of causes as well would say it twice.

use std::error::Error;

/// The texts of a chain of errors, the outermost first; a cause that the text before it has is not
/// said again.
pub fn sentence<'a>(chain: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    let mut sentence = String::new();
    for cause in chain.map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let errors = ["/f", "the log is damaged: too short", "too short", "other"];
        let errors: Vec<Box<dyn Error>> = errors.into_iter().map(Into::into).collect();
        let sentence = sentence(errors.iter().map(|error| &**error));
        assert_eq!(sentence, "/f: the log is damaged: too short: other");
    }
}
