//! Places in source files that should become fewer.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};

use super::tokens::{is_punct, line, without_tests, word};

/// A file that is longer than this has more than one subject.
pub const LONGEST: usize = 400;

/// How far above a call the comment with its reason may begin.
const COMMENT_LINES: usize = 3;

/// What one file has of each.
#[derive(Default)]
pub struct Places {
    /// Lines with `unwrap_or_default()`.
    pub defaults: Vec<usize>,
    /// Those of them that have no comment.
    pub defaults_without_reason: Vec<usize>,
    /// Lines with `Result<_, String>`.
    pub text_errors: Vec<usize>,
    /// Lines of the file, its tests included.
    pub lines: usize,
}

/// Looks at the file at `path`, whose tokens are given.
pub fn look(path: &Path, tokens: &TokenStream) -> Result<Places> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut places = Places {
        lines: lines.len(),
        ..Places::default()
    };
    walk(&without_tests(tokens.clone()), &mut places);
    places.defaults_without_reason = places
        .defaults
        .iter()
        .copied()
        .filter(|number| !has_comment(&lines, *number))
        .collect();
    Ok(places)
}

fn walk(tokens: &[TokenTree], places: &mut Places) {
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        if let TokenTree::Group(group) = token {
            walk(&without_tests(group.stream()), places);
        }
        match word(token).as_deref() {
            Some("unwrap_or_default") => places.defaults.push(line(token)),
            Some("Result") if is_text_error(after) => places.text_errors.push(line(token)),
            _ => {}
        }
        rest = after;
    }
}

/// Is `<..., String>` at the start of `tokens`?
fn is_text_error(tokens: &[TokenTree]) -> bool {
    let mut depth = 0_usize;
    let mut last = Vec::new();
    for token in tokens {
        if is_punct(token, '<') {
            depth = depth.saturating_add(1);
        } else if is_punct(token, '>') {
            depth = depth.saturating_sub(1);
        } else if is_punct(token, ',') && depth == 1 {
            last.clear();
            continue;
        }
        last.push(token.to_string());
        if depth == 0 {
            break;
        }
    }
    last == ["String", ">"]
}

/// Is there a comment on the line, or just above it?
fn has_comment(lines: &[&str], number: usize) -> bool {
    let first = number.saturating_sub(COMMENT_LINES.saturating_add(1));
    let mut near = lines.iter().take(number).skip(first);
    near.any(|line| line.contains("// ") && !line.trim_start().starts_with("///"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Places {
        let mut places = Places::default();
        walk(&without_tests(text.parse().unwrap()), &mut places);
        places
    }

    #[test]
    fn text_errors_are_found() {
        for (text, expected) in [
            ("fn a() -> Result<(), String> {}", 1),
            ("fn a() -> Result<Vec<(A, B)>, String> {}", 1),
            ("fn a() -> std::result::Result<Vec<A>, String> {}", 1),
            ("fn a() -> Result<String, Error> {}", 0),
            ("fn a() -> Result<String> {}", 0),
            ("fn a() -> Result<Map<A, String>, Error> {}", 0),
            (
                "#[cfg(test)] mod tests { fn a() -> Result<(), String> {} }",
                0,
            ),
        ] {
            assert_eq!(places(text).text_errors.len(), expected, "{text}");
        }
    }

    #[test]
    fn a_comment_counts_as_a_reason() {
        let lines = [
            "// Nothing there.",
            "a",
            ".unwrap_or_default()",
            "",
            "",
            "b.unwrap_or_default()",
        ];
        assert!(has_comment(&lines, 3));
        assert!(!has_comment(&lines, 6));
    }
}
