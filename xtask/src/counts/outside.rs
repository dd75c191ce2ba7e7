//! Paths that lead out of the repository: what they name is not there in another checkout, and a test that looks for
//! it either fails there or, worse, passes without having looked.

use proc_macro2::{Literal, TokenStream, TokenTree};

use super::{
    allowed::LEAD_ELSEWHERE,
    tokens::{is_punct, line, word},
};

/// Macros that take a path relative to their own file; every other path is relative to the package.
const BESIDE_FILE: [&str; 3] = ["include", "include_str", "include_bytes"];

/// How many directories below the repository's root a path starts.
#[derive(Clone, Copy)]
pub struct Depth {
    /// The package's directory.
    pub package: usize,
    /// The directory of the file.
    pub file: usize,
}

/// Lines of string literals in `tokens` that climb further up than the root.
pub fn look(tokens: &TokenStream, depth: Depth) -> Vec<usize> {
    let mut lines = Vec::new();
    walk(tokens, depth, &mut lines);
    lines
}

fn walk(tokens: &TokenStream, depth: Depth, lines: &mut Vec<usize>) {
    let mut includes = false;
    for token in tokens.clone() {
        match &token {
            TokenTree::Group(group) if includes => {
                let beside = Depth {
                    package: depth.file,
                    ..depth
                };
                walk(&group.stream(), beside, lines);
            }
            TokenTree::Group(group) => walk(&group.stream(), depth, lines),
            TokenTree::Literal(literal) if leaves(literal, depth.package) => {
                lines.push(line(&token));
            }
            _ => {}
        }
        // Between the macro's name and its argument stands only the exclamation mark.
        let is_name = word(&token).is_some_and(|name| BESIDE_FILE.contains(&name.as_str()));
        includes = is_name || includes && is_punct(&token, '!');
    }
}

/// Does this path, which starts `depth` directories below the root, leave it?
fn leaves(literal: &Literal, depth: usize) -> bool {
    let source = literal.to_string();
    let Some(text) = source
        .split_once('"')
        .and_then(|(_, rest)| rest.rsplit_once('"'))
        .map(|(text, _)| text)
    else {
        return false;
    };
    // `concat!` joins what begins with a slash.
    let path = text.strip_prefix('/').unwrap_or(text);
    if !path.starts_with("../") || LEAD_ELSEWHERE.contains(&path) {
        return false;
    }
    let mut depth = depth;
    for part in path.split('/') {
        let next = match part {
            ".." => depth.checked_sub(1),
            "" | "." => Some(depth),
            _ => depth.checked_add(1),
        };
        match next {
            Some(next) => depth = next,
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_climbs_out_of_the_repository_is_found() {
        let depth = Depth {
            package: 1,
            file: 3,
        };
        for (text, expected) in [
            ("join(\"../shared\")", 0),
            ("join(\"../../shared/vectors\")", 1),
            ("concat!(env!(\"X\"), \"/../../shared\")", 1),
            ("join(r#\"../a/../../b\"#)", 1),
            ("join(\"../a/b/../../c\")", 0),
            ("include_str!(\"../../../shared\")", 0),
            ("include_bytes!(\"../../../../shared\")", 1),
            ("f(include_str!(\"a\"), \"../../shared\")", 1),
            ("\"a/../../../b\"", 0),
            ("// ../../shared\nf()", 0),
        ] {
            let tokens: TokenStream = text.parse().unwrap();
            assert_eq!(look(&tokens, depth).len(), expected, "{text}");
        }
    }
}
