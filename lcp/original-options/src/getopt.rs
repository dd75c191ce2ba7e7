//! Option parsing as glibc's `getopt_long_only` does it for these tools: one dash or two, unique
//! abbreviations, operands anywhere, `--` ends the options. None of the tools has short options.

/// One long option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name.
    pub name: &'static str,
    /// Does it take an argument?
    pub takes: bool,
    /// What the tool knows it by.
    pub id: char,
}

/// An option without argument.
pub const fn flag(name: &'static str, id: char) -> Opt {
    Opt {
        name,
        takes: false,
        id,
    }
}

/// An option with an argument.
pub const fn with(name: &'static str, id: char) -> Opt {
    Opt {
        name,
        takes: true,
        id,
    }
}

/// One step of the parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A known option and its argument (empty without one).
    Option(char, String),
    /// A wrong one: the message that glibc prints behind the program's name.
    Wrong(String),
}

/// The steps in order, and the operands in order.
pub fn parse(words: &[String], options: &[Opt]) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut operands) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            operands.extend(words.by_ref().cloned());
        } else if let Some(rest) = word.strip_prefix("--") {
            steps.push(option("--", rest, &mut words, options));
        } else if let Some(rest) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            steps.push(option("-", rest, &mut words, options));
        } else {
            operands.push(word.clone());
        }
    }
    (steps, operands)
}

fn option(
    dashes: &str,
    text: &str,
    words: &mut std::slice::Iter<'_, String>,
    options: &[Opt],
) -> Step {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let exact = options.iter().find(|option| option.name == name);
    let candidates: Vec<&Opt> = options
        .iter()
        .filter(|option| option.name.starts_with(name))
        .collect();
    let found = match (exact, candidates.as_slice()) {
        (Some(option), _) => option,
        (None, [option]) => *option,
        (None, []) => return Step::Wrong(format!("unrecognized option '{dashes}{text}'")),
        // Two options of the same name are ambiguous as well, as in getopt_long_only.
        (None, several) => {
            let mut message = format!("option '{dashes}{text}' is ambiguous; possibilities:");
            for option in several {
                message.push_str(&format!(" '{dashes}{}'", option.name));
            }
            return Step::Wrong(message);
        }
    };
    match (found.takes, value) {
        (true, Some(value)) => Step::Option(found.id, value.to_owned()),
        (true, None) => match words.next() {
            Some(value) => Step::Option(found.id, value.clone()),
            None => Step::Wrong(format!(
                "option '{dashes}{}' requires an argument",
                found.name
            )),
        },
        (false, None) => Step::Option(found.id, String::new()),
        (false, Some(_)) => Step::Wrong(format!(
            "option '{dashes}{}' doesn't allow an argument",
            found.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [Opt; 5] = [
        flag("create", 'C'),
        with("ctrl", 'c'),
        with("alg", 'a'),
        with("alg", 'a'),
        with("out", 'o'),
    ];

    fn parsed(line: &str) -> (Vec<Step>, Vec<String>) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words, &OPTIONS)
    }

    fn is(id: char, value: &str) -> Step {
        Step::Option(id, value.to_owned())
    }

    #[test]
    fn one_dash_abbreviations_and_equal_signs_work() {
        let (steps, operands) = parsed("-cre a --ctrl=2 b --o x -alg sha1 -- --out");
        assert_eq!(
            steps,
            [is('C', ""), is('c', "2"), is('o', "x"), is('a', "sha1")]
        );
        assert_eq!(operands, ["a", "b", "--out"]);
    }

    #[test]
    fn what_getopt_refuses_is_refused() {
        let wrong = |line: &str| match parsed(line).0.pop() {
            Some(Step::Wrong(message)) => message,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong("-x"), "unrecognized option '-x'");
        assert_eq!(wrong("--out"), "option '--out' requires an argument");
        assert_eq!(
            wrong("--create=1"),
            "option '--create' doesn't allow an argument"
        );
        assert!(wrong("--c").starts_with("option '--c' is ambiguous"));
        // Twice the same name: only the whole name is taken.
        assert!(wrong("--al sha1").starts_with("option '--al' is ambiguous"));
    }

    #[test]
    fn an_argument_may_begin_with_a_dash() {
        assert_eq!(parsed("--out -create").0, [is('o', "-create")]);
        assert_eq!(parsed("-").1, ["-"]);
    }
}
