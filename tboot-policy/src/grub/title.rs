//! The words behind `menuentry`: title, id, and what `$1`, `$2`, ... are in the entry.
//!
//! GRUB takes its options out of the words, wherever they stand; what is left are the arguments,
//! the title first (GRUB's commands/menuentry.c).

use super::{
    lex::{Piece, Word},
    variables::{Arguments, Unknown, Variables},
};

/// How an entry is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Titled {
    pub title: String,
    pub id: Option<String>,
    pub arguments: Arguments,
}

/// Options that a value follows.
const WITH_VALUE: [&str; 5] = ["--class", "--users", "--hotkey", "--source", "--id"];

/// A word as GRUB gets it.
enum Argument {
    Known(Vec<u8>),
    Unknown(String),
}

impl Argument {
    fn text(&self) -> String {
        match self {
            Self::Known(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Unknown(name) => format!("${name}"),
        }
    }
}

impl Titled {
    pub fn of(words: &[Word], variables: &Variables) -> Self {
        let mut titled = Self::default();
        let mut title = None;
        let mut options = true;
        let mut words = words.iter().flat_map(|word| arguments(word, variables));
        while let Some(word) = words.next() {
            let text = word.text();
            if options && matches!(word, Argument::Known(_)) {
                match text.split_once('=') {
                    None if text == "--" => {
                        options = false;
                        continue;
                    }
                    None if text == "--unrestricted" => continue,
                    None if WITH_VALUE.contains(&text.as_str()) => {
                        let value = words.next().map(|value| value.text());
                        if text == "--id" {
                            titled.id = titled.id.or(value);
                        }
                        continue;
                    }
                    Some((option, value)) if WITH_VALUE.contains(&option) => {
                        if option == "--id" {
                            titled.id = titled.id.or(Some(value.to_owned()));
                        }
                        continue;
                    }
                    _ => {}
                }
            }
            title.get_or_insert(text);
            match word {
                Argument::Known(text) => titled.arguments.push(text),
                Argument::Unknown(_) => titled.arguments.push_unknown(),
            }
        }
        // Without a word there is no title, and nothing can be named so.
        titled.title = title.unwrap_or_default();
        titled
    }
}

fn arguments(word: &Word, variables: &Variables) -> Vec<Argument> {
    match variables.expand(word) {
        Ok(expanded) => expanded.into_iter().map(Argument::Known).collect(),
        // "--id" on every GRUB that knows ids.
        Err(Unknown(name)) if is_only(word, &name) && name == "menuentry_id_option" => {
            vec![Argument::Known(b"--id".to_vec())]
        }
        Err(Unknown(name)) => vec![Argument::Unknown(name)],
    }
}

fn is_only(word: &Word, variable: &str) -> bool {
    matches!(word.as_slice(), [Piece::Variable { name, .. }] if name == variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grub::lex::{Token, tokens};

    fn titled(line: &str) -> Titled {
        let words: Vec<Word> = tokens(line.as_bytes())
            .unwrap()
            .into_iter()
            .filter_map(|(_, token)| match token {
                Token::Word(word) => Some(word),
                _ => None,
            })
            .collect();
        Titled::of(&words, &Variables::default())
    }

    #[test]
    fn options_are_no_arguments() {
        let mut arguments = Arguments::default();
        for text in ["T x", "first", "--other"] {
            arguments.push(text.as_bytes().to_vec());
        }
        let plain = titled("'T x' --class a --id=t first --unrestricted --hotkey k --other");
        assert_eq!(
            (plain.title.as_str(), plain.id.as_deref()),
            ("T x", Some("t"))
        );
        assert_eq!(plain.arguments, arguments);
        let late = titled("--class a $menuentry_id_option 'i d' T -- --id");
        assert_eq!(
            (late.title.as_str(), late.id.as_deref()),
            ("T", Some("i d"))
        );
        // Behind what is unknown any may be any.
        let unknown = titled("$x a");
        assert_eq!(unknown.title, "$x");
        arguments = Arguments::default();
        arguments.push_unknown();
        assert_eq!(unknown.arguments, arguments);
        assert_eq!(titled("").title, "");
    }
}
