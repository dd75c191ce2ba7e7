//! A command line's words.

use std::ffi::OsString;

/// The exact word that asks for the original's bytes where it is wrong.
const COMPAT: &str = "--compat";

/// The words behind the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Those that the original knows.
    pub words: Vec<String>,
    /// Was `--compat` among them?
    pub compat: bool,
}

/// A word that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no UTF-8 text", .0.display())]
pub struct NotText(pub OsString);

impl Words {
    /// Takes `--compat` out, wherever it stands.
    ///
    /// # Errors
    /// A word is not UTF-8.
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, NotText> {
        let (mut words, mut compat) = (Vec::new(), false);
        for argument in arguments {
            match argument.into_string().map_err(NotText)? {
                word if word == COMPAT => compat = true,
                word => words.push(word),
            }
        }
        Ok(Self { words, compat })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn compat_counts_wherever_it_stands() {
        let words = Words::of(["a", "--compat", "b"].map(OsString::from)).unwrap();
        assert_eq!(words.words, ["a", "b"]);
        assert!(words.compat);
        assert!(!Words::of(["--compa".into()]).unwrap().compat);
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert!(Words::of([OsString::from_vec(vec![0xff])]).is_err());
    }
}
