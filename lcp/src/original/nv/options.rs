//! Option parsing as glibc does it for these tools: `getopt` with letters, and for tpmnv_defindex
//! `getopt_long_only`, where one dash may begin a long option too.

use super::failure::Failure;

/// LCP_E_NO_SUCH_PARAMETER.
const NO_SUCH_PARAMETER: u8 = 26;

/// What a tool takes: letters, those with an argument followed by a colon; and long options with
/// an argument, each known by a letter of its own.
pub struct Options {
    /// As `getopt` has them.
    pub letters: &'static str,
    /// Names and letters.
    pub long: &'static [(&'static str, char)],
}

enum Letter {
    Unknown,
    Flag,
    WithArgument,
}

impl Options {
    fn letter(&self, letter: char) -> Letter {
        let mut letters = self.letters.chars();
        if letter == ':' || !letters.any(|known| known == letter) {
            return Letter::Unknown;
        }
        match letters.next() {
            Some(':') => Letter::WithArgument,
            _ => Letter::Flag,
        }
    }

    /// The options in order, each with its argument. Operands are refused, but behind all options,
    /// as the tools do: what `each` refuses comes first.
    pub fn parse(
        &self,
        words: &[String],
        mut each: impl FnMut(char, String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut operand = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                operand = operand.or(words.next());
                break;
            }
            let Some(text) = word.strip_prefix('-').filter(|text| !text.is_empty()) else {
                operand = operand.or(Some(word));
                continue;
            };
            if let Some((letter, value)) = self.long_option(word, text)? {
                let value = match value {
                    Some(value) => value,
                    None => next(word, &mut words)?,
                };
                each(letter, value)?;
                continue;
            }
            self.cluster(word, text, &mut words, &mut each)?;
        }
        match operand {
            None => Ok(()),
            Some(word) => Err(Failure::parameter(format!("{word}: no option"))),
        }
    }

    /// Letters behind one dash: flags, and at the end one with its argument.
    fn cluster(
        &self,
        word: &str,
        text: &str,
        words: &mut std::slice::Iter<'_, String>,
        each: &mut impl FnMut(char, String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            match self.letter(letter) {
                Letter::Unknown => return Err(unknown(&format!("-{letter}"))),
                Letter::Flag => each(letter, String::new())?,
                Letter::WithArgument => {
                    let value = match rest.as_str() {
                        "" => next(word, words)?,
                        value => value.to_owned(),
                    };
                    return each(letter, value);
                }
            }
        }
        Ok(())
    }

    /// A long option, and its argument if it stands behind an equals sign.
    fn long_option(
        &self,
        word: &str,
        text: &str,
    ) -> Result<Option<(char, Option<String>)>, Failure> {
        let one_dash = text.strip_prefix('-').is_none();
        let text = text.strip_prefix('-').unwrap_or(text);
        let mut letters = text.chars();
        // One dash and one known letter is that letter.
        if let (true, Some(letter), None) = (one_dash, letters.next(), letters.next())
            && !matches!(self.letter(letter), Letter::Unknown)
        {
            return Ok(None);
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let candidates: Vec<_> = self
            .long
            .iter()
            .filter(|(known, _)| known.starts_with(name))
            .collect();
        match candidates.as_slice() {
            [(_, letter)] => Ok(Some((*letter, value))),
            [] if one_dash => Ok(None),
            _ => Err(unknown(word)),
        }
    }
}

fn next(word: &str, words: &mut std::slice::Iter<'_, String>) -> Result<String, Failure> {
    words
        .next()
        .cloned()
        .ok_or_else(|| Failure::new(NO_SUCH_PARAMETER, format!("{word} needs an argument")))
}

fn unknown(option: &str) -> Failure {
    Failure::new(
        NO_SUCH_PARAMETER,
        format!("{option}: unknown option, see -h"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &Options, line: &str) -> Result<Vec<(char, String)>, u8> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut seen = Vec::new();
        options
            .parse(&words, |letter, value| {
                seen.push((letter, value));
                Ok(())
            })
            .map_err(|failure| failure.code())?;
        Ok(seen)
    }

    fn is(pairs: &[(char, &str)]) -> Result<Vec<(char, String)>, u8> {
        Ok(pairs
            .iter()
            .map(|(c, text)| (*c, (*text).to_owned()))
            .collect())
    }

    const SHORT: Options = Options {
        letters: "ehi:f:p:",
        long: &[],
    };
    const LONG: Options = Options {
        letters: "hi:s:p:",
        long: &[("pv", 'v'), ("av", 'a'), ("wl", 'w'), ("rl", 'r')],
    };

    #[test]
    fn letters_are_taken_as_getopt_takes_them() {
        assert_eq!(
            parsed(&SHORT, "-i owner -e"),
            is(&[('i', "owner"), ('e', "")])
        );
        assert_eq!(
            parsed(&SHORT, "-ehiowner"),
            is(&[('e', ""), ('h', ""), ('i', "owner")])
        );
        assert_eq!(parsed(&SHORT, "-i -p"), is(&[('i', "-p")]));
        assert_eq!(parsed(&SHORT, "-x"), Err(26));
        assert_eq!(parsed(&SHORT, "-e -i"), Err(26));
        assert_eq!(parsed(&SHORT, "-e more"), Err(1));
        assert_eq!(parsed(&SHORT, "more -x"), Err(26));
        assert_eq!(parsed(&SHORT, "-e --"), is(&[('e', "")]));
        assert_eq!(parsed(&SHORT, "--index"), Err(26));
    }

    #[test]
    fn one_dash_begins_a_long_option_too() {
        let line = "-i owner -pv 0x2 --av=x -w 1 -rl=7 -p pw -s 54";
        assert_eq!(
            parsed(&LONG, line),
            is(&[
                ('i', "owner"),
                ('v', "0x2"),
                ('a', "x"),
                ('w', "1"),
                ('r', "7"),
                ('p', "pw"),
                ('s', "54"),
            ])
        );
        assert_eq!(parsed(&LONG, "-powner"), is(&[('p', "owner")]));
        assert_eq!(parsed(&LONG, "--p 1"), is(&[('v', "1")]));
        assert_eq!(parsed(&LONG, "--x"), Err(26));
        assert_eq!(parsed(&LONG, "-pv"), Err(26));
    }
}
