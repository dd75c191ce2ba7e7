//! What one module says: its submodules, the names that it brings in, the items that it defines,
//! and every path that it mentions.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::tokens::{content, is_punct, line, starts_with_colons, without_tests, word};

/// The words after which the name of an item stands.
const DEFINING_WORDS: [&str; 9] = [
    "struct",
    "enum",
    "union",
    "fn",
    "trait",
    "type",
    "const",
    "static",
    "macro_rules",
];

/// One module as it is written, before anything is looked up.
#[derive(Default)]
pub struct Scope {
    pub submodules: Vec<Submodule>,
    /// Names that `use` brings in.
    pub bindings: BTreeMap<String, Vec<String>>,
    /// Paths in front of `::*`.
    pub globs: Vec<Vec<String>>,
    /// Names of items that are defined here.
    pub items: BTreeSet<String>,
    pub mentions: Vec<Mention>,
    /// Every word outside of `use`, except for names of fields and methods.
    pub words: BTreeSet<String>,
}

/// `mod name;` or `mod name { ... }`.
pub struct Submodule {
    pub name: String,
    /// Of a `#[path = "..."]`.
    pub path: Option<String>,
    /// Of a module that is written in place.
    pub content: Option<TokenStream>,
    pub line: usize,
}

/// A path that is mentioned.
pub struct Mention {
    pub segments: Vec<String>,
    pub line: usize,
    /// Everything in it is brought in.
    pub glob: bool,
    /// The name under which a `pub use` passes it on.
    pub passed_on: Option<String>,
}

impl Scope {
    /// Reads a module's tokens.
    pub fn read(tokens: &[TokenTree]) -> Self {
        let mut scope = Self::default();
        scope.walk(tokens, true);
        scope
    }

    /// `is_top`: not in a block of the module, where a name is nobody else's.
    fn walk(&mut self, tokens: &[TokenTree], is_top: bool) {
        let mut before = Before::default();
        let mut rest = tokens;
        while let [token, after @ ..] = rest {
            if starts_with_colons(rest) {
                // The rest of a type in angle brackets, or a path that leads out of this crate.
                rest = after_colons(after);
                continue;
            }
            rest = after;
            if let TokenTree::Group(group) = token {
                self.walk(&without_tests(group.stream()), false);
            }
            if let Some(name) = word(token) {
                rest = self.at_word(&name, line(token), after, &before);
                if is_top && DEFINING_WORDS.contains(&name.as_str()) {
                    self.items.extend(after.iter().find_map(word));
                }
            }
            before.pass(token, after);
        }
    }

    /// Reads what begins with a word; returns what follows.
    fn at_word<'a>(
        &mut self,
        name: &str,
        line: usize,
        after: &'a [TokenTree],
        before: &Before,
    ) -> &'a [TokenTree] {
        if name == "mod" {
            return self.submodule(after, before.path.clone());
        }
        if name == "use" && !after.first().is_some_and(|next| is_punct(next, '<')) {
            let end = after.iter().position(|t| is_punct(t, ';'));
            let (tree, rest) = after.split_at(end.unwrap_or(after.len()));
            self.use_tree(&[], tree, before.is_public);
            return rest;
        }
        if !before.is_dot {
            self.words.insert(name.to_string());
        }
        if !starts_with_colons(after) {
            return after;
        }
        let (segments, rest) = path(name.to_string(), after);
        self.mentions.push(Mention {
            segments,
            line,
            glob: false,
            passed_on: None,
        });
        rest
    }

    fn submodule<'a>(&mut self, after: &'a [TokenTree], path: Option<String>) -> &'a [TokenTree] {
        let [token, next, rest @ ..] = after else {
            return after;
        };
        let Some(name) = word(token) else {
            return after;
        };
        self.submodules.push(Submodule {
            name,
            path,
            content: content(next, Delimiter::Brace),
            line: line(token),
        });
        rest
    }

    /// The tree of a `use`, below `prefix`.
    fn use_tree(&mut self, prefix: &[String], tokens: &[TokenTree], is_public: bool) {
        for tree in tokens.split(|token| is_punct(token, ',')) {
            self.use_branch(prefix, tree, is_public);
        }
    }

    fn use_branch(&mut self, prefix: &[String], tree: &[TokenTree], is_public: bool) {
        let mut segments = prefix.to_vec();
        let mut rest = tree;
        let mut name = None;
        while let [token, after @ ..] = rest {
            rest = after;
            if let Some(inner) = content(token, Delimiter::Brace) {
                let inner: Vec<TokenTree> = inner.into_iter().collect();
                return self.use_tree(&segments, &inner, is_public);
            }
            if is_punct(token, '*') {
                self.globs.push(segments.clone());
                self.mentions.push(Mention {
                    segments,
                    line: line(token),
                    glob: true,
                    passed_on: is_public.then(|| "*".to_string()),
                });
                return;
            }
            match word(token) {
                Some(word) if word == "as" => {
                    name = after.first().and_then(super::tokens::word);
                    break;
                }
                // `use a::{self}` brings `a` in.
                Some(word) if word == "self" && !segments.is_empty() => {}
                Some(word) => segments.push(word),
                // A leading `::` leads out of this crate.
                None if segments.is_empty() => return,
                None => {}
            }
        }
        let (Some(first), Some(last)) = (tree.first(), segments.last()) else {
            return;
        };
        let name = name.unwrap_or_else(|| last.clone());
        self.bindings.insert(name.clone(), segments.clone());
        self.mentions.push(Mention {
            segments,
            line: line(first),
            glob: false,
            passed_on: is_public.then_some(name),
        });
    }
}

/// What stands before a word and says something about it.
#[derive(Default)]
struct Before {
    /// Of a `#[path = "..."]`.
    path: Option<String>,
    /// `pub`, or `pub(...)`.
    is_public: bool,
    /// A field or a method follows.
    is_dot: bool,
}

impl Before {
    fn pass(&mut self, token: &TokenTree, after: &[TokenTree]) {
        self.is_dot = is_punct(token, '.');
        self.is_public = match token {
            TokenTree::Ident(_) => word(token).as_deref() == Some("pub"),
            TokenTree::Group(group) => {
                self.is_public && group.delimiter() == Delimiter::Parenthesis
            }
            _ => false,
        };
        match token {
            TokenTree::Punct(_) if is_punct(token, '#') => {
                let path = after.first().and_then(path_of_attribute);
                self.path = path.or(self.path.take());
            }
            TokenTree::Ident(_) if word(token).as_deref() == Some("mod") => self.path = None,
            _ => {}
        }
    }
}

/// What follows the second colon of `::` and the path after it.
fn after_colons(second_colon: &[TokenTree]) -> &[TokenTree] {
    let after = second_colon.get(1..).unwrap_or(&[]);
    match after.split_first() {
        Some((TokenTree::Ident(_), rest)) => path(String::new(), rest).1,
        _ => after,
    }
}

/// A path that starts with `first`, and what follows it.
fn path(first: String, after: &[TokenTree]) -> (Vec<String>, &[TokenTree]) {
    let mut segments = vec![first];
    let mut rest = after;
    while let [_, _, token, further @ ..] = rest {
        match word(token) {
            Some(word) if starts_with_colons(rest) => segments.push(word),
            _ => break,
        }
        rest = further;
    }
    (segments, rest)
}

/// The file that `#[path = "..."]` names.
fn path_of_attribute(group: &TokenTree) -> Option<String> {
    let tokens: Vec<TokenTree> = content(group, Delimiter::Bracket)?.into_iter().collect();
    match tokens.as_slice() {
        [name, equals, TokenTree::Literal(file)]
            if word(name).as_deref() == Some("path") && is_punct(equals, '=') =>
        {
            Some(file.to_string().trim_matches('"').to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::read(&without_tests(text.parse().unwrap()))
    }

    fn mentioned(text: &str) -> Vec<String> {
        let mentions = scope(text).mentions;
        mentions.iter().map(|m| m.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        for (text, expected) in [
            (
                "use crate::a::{b, c::D as E, self};",
                "crate::a::b crate::a::c::D crate::a",
            ),
            ("use super::*;", "super"),
            ("pub(crate) use self::a::B;", "self::a::B"),
            ("use ::std::fs;", ""),
            (
                "fn f() { bail!(\"x\", crate::a::text()); }",
                "crate::a::text",
            ),
            ("fn f(a: Vec<super::b::C>) -> <A as B>::C {}", "super::b::C"),
            ("fn f() { Vec::<crate::a::B>::new(); }", "Vec crate::a::B"),
            ("fn f() -> impl A + use<'_> {}", ""),
            ("#[cfg(test)] mod tests { use super::a::B; }", ""),
            ("// crate::a\nconst A: &str = \"crate::b::c\";", ""),
        ] {
            assert_eq!(mentioned(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn names_and_submodules_are_kept() {
        let scope = scope(
            "#[path = \"../x.rs\"] mod x; mod y { pub struct Z; } use a::B as C; pub(super) fn f() {}",
        );
        let names: Vec<(&str, Option<&str>)> = scope
            .submodules
            .iter()
            .map(|module| (module.name.as_str(), module.path.as_deref()))
            .collect();
        assert_eq!(names, [("x", Some("../x.rs")), ("y", None)]);
        assert!(scope.submodules[1].content.is_some());
        assert_eq!(scope.bindings["C"], ["a", "B"]);
        assert!(scope.items.contains("f"));
    }
}
