//! A source file as tokens, without what exists in tests alone: comments and strings are out of the
//! way, and what is inside a macro call is seen like everything else.

use std::{collections::BTreeSet, fs, path::Path, str::FromStr};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// The words that an item starts with: it ends with a semicolon or a block. Everything else that an
/// attribute can stand before (a field, a variant, a `match` arm) may also end with a comma.
const ITEM_WORDS: [&str; 14] = [
    "pub", "fn", "impl", "struct", "enum", "union", "trait", "mod", "use", "const", "static",
    "type", "unsafe", "extern",
];

/// Reads the file at `path`.
pub fn read(path: &Path) -> Result<Vec<TokenTree>> {
    Ok(without_tests(whole(path)?))
}

/// Every word of a file, tests included.
pub fn words(file: &TokenStream) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut waiting = vec![file.clone()];
    while let Some(stream) = waiting.pop() {
        for token in stream {
            words.extend(word(&token));
            if let TokenTree::Group(group) = token {
                waiting.push(group.stream());
            }
        }
    }
    words
}

/// The file at `path`, whole.
pub fn whole(path: &Path) -> Result<TokenStream> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    TokenStream::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The tokens of `stream` without items that are compiled for tests only. Groups inside are whole:
/// ask again for their content.
pub fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut rest = stream.into_iter().peekable();
    while let Some(token) = rest.next() {
        let attribute = match rest.peek() {
            Some(TokenTree::Group(group)) if is_punct(&token, '#') => Some(group.clone()),
            _ => None,
        };
        match attribute {
            Some(group) if is_for_tests(&group) => {
                rest.next();
                pass_over_item(&mut rest);
            }
            _ => kept.push(token),
        }
    }
    kept
}

/// Is this the group of `#[cfg(test)]`, or of `#[cfg(all(test, ...))]`?
fn is_for_tests(group: &Group) -> bool {
    let text: String = group.stream().to_string().split_whitespace().collect();
    group.delimiter() == Delimiter::Bracket
        && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

fn pass_over_item(rest: &mut std::iter::Peekable<proc_macro2::token_stream::IntoIter>) {
    let mut is_item = None;
    while let Some(token) = rest.next() {
        match &token {
            // A further attribute of the same item.
            TokenTree::Punct(punct) if punct.as_char() == '#' && is_item.is_none() => {
                rest.next();
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Punct(punct) if punct.as_char() == ',' && is_item != Some(true) => return,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Ident(ident) if is_item.is_none() => {
                is_item = Some(ITEM_WORDS.iter().any(|word| ident == word));
            }
            _ => is_item = is_item.or(Some(false)),
        }
    }
}

/// Is `token` this character?
pub fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Is there a `::` at the start of `tokens`?
pub fn starts_with_colons(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Punct(first), second, ..] => {
            first.as_char() == ':' && first.spacing() == Spacing::Joint && is_punct(second, ':')
        }
        _ => false,
    }
}

/// The word that `token` is. A raw identifier is the same word.
pub fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => {
            let text = ident.to_string();
            Some(text.strip_prefix("r#").map(str::to_string).unwrap_or(text))
        }
        _ => None,
    }
}

/// The content of a group with this delimiter.
pub fn content(token: &TokenTree, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

/// The line that `token` is on.
pub fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        without_tests(text.parse().unwrap())
            .iter()
            .map(ToString::to_string)
            .collect::<String>()
            .replace(' ', "")
    }

    #[test]
    fn test_items_are_left_out() {
        for (text, expected) in [
            ("#[cfg(test)] mod tests; fn a() {}", "fn a () {}"),
            ("#[cfg(test)] mod tests { use a; } struct A;", "struct A ;"),
            (
                "#[cfg(test)] #[rustfmt::skip] pub fn b<A, B>() {} struct A;",
                "struct A ;",
            ),
            ("a: u8, #[cfg(test)] b: u8, c: u8", "a : u8 , c : u8"),
            ("#[cfg(all(test, unix))] use a::b; struct A;", "struct A ;"),
        ] {
            assert_eq!(kept(text), expected.replace(' ', ""), "{text}");
        }
    }

    #[test]
    fn other_attributes_stay() {
        let text = "# [cfg (not (test))] fn a () {}";
        assert_eq!(kept(text), text.replace(' ', ""));
    }
}
