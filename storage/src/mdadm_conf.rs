//! /etc/mdadm/mdadm.conf: which arrays the machine has (mdadm.conf(5)). What is not understood is an error:
//! an array that is assembled under another name is not found under its own.

use crate::{
    md::ArrayId,
    table::{self, TableError},
};

/// The keywords; each may be written as its first three letters or more, in any case.
const KEYWORDS: [&str; 14] = [
    "device",
    "array",
    "mailaddr",
    "mailfrom",
    "program",
    "create",
    "homehost",
    "homecluster",
    "auto",
    "policy",
    "part-policy",
    "sysfs",
    "monitordelay",
    "encryption_no_verify",
];

/// A file that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MdadmConfError {
    /// Its size.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A quotation that does not end on its line.
    #[error("line {0}: a quotation has no end")]
    Quotation(usize),
    /// Not in mdadm.conf(5).
    #[error("line {line}: the keyword {word:?} is not known")]
    Keyword {
        /// Counted from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// Not in mdadm.conf(5), or without the value that it needs.
    #[error("line {line}: {word:?} says nothing of an array that is known")]
    Word {
        /// Counted from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// Which one counts?
    #[error("line {line}: {word:?} is the second of its kind")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// Continues nothing.
    #[error("line {0} continues a line, but is the first")]
    Continues(usize),
}

/// An ARRAY line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayLine {
    /// Which line it begins on, counted from 1.
    pub number: usize,
    /// Its node, as it is written: without a slash it is below /dev/md.
    pub device: Option<String>,
    /// It is not to be assembled (`<ignore>`).
    pub ignored: bool,
    /// Its UUID.
    pub id: Option<ArrayId>,
    /// Its name in the superblock.
    pub name: Option<String>,
    /// The format of its superblock.
    pub metadata: Option<String>,
    /// The minor number in a superblock of format 0.90.
    pub super_minor: Option<u32>,
    /// Patterns of devices that it may be made of.
    pub devices: Vec<String>,
    /// The container that it is a part of.
    pub container: Option<String>,
    /// Other words, which say how it is watched or made and not what it is.
    pub others: Vec<String>,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MdadmConf {
    /// The arrays.
    pub arrays: Vec<ArrayLine>,
    /// Patterns of devices that may be members; none is all partitions.
    pub devices: Vec<String>,
    /// Names of the machine that an array may belong to, as they are written (`<system>`).
    pub home_hosts: Vec<String>,
}

/// Reads the file.
///
/// # Errors
/// If a line is not understood; the error names it.
pub fn read(text: &str) -> Result<MdadmConf, MdadmConfError> {
    let mut conf = MdadmConf::default();
    for (line, words) in joined(text)? {
        let mut words = words.into_iter();
        let Some(keyword) = words.next() else {
            continue;
        };
        match keyword_of(&keyword) {
            Some("array") => conf.arrays.push(array(line, words)?),
            Some("device") => conf.devices.extend(words),
            Some("homehost") => conf.home_hosts.extend(words),
            Some(_) => {}
            None => {
                let word = keyword;
                return Err(MdadmConfError::Keyword { line, word });
            }
        }
    }
    Ok(conf)
}

fn keyword_of(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let mut keywords = KEYWORDS.into_iter();
    keywords.find(|keyword| word.len() >= 3 && keyword.starts_with(&word))
}

/// The words of each line with those that continue it.
fn joined(text: &str) -> Result<Vec<(usize, Vec<String>)>, MdadmConfError> {
    let mut found: Vec<(usize, Vec<String>)> = Vec::new();
    for (number, line) in table::lines(text)? {
        let words = words(line).ok_or(MdadmConfError::Quotation(number))?;
        if words.is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            found.push((number, words));
        } else if let Some((_, all)) = found.last_mut() {
            all.extend(words);
        } else {
            return Err(MdadmConfError::Continues(number));
        }
    }
    Ok(found)
}

/// Between white space; quotation marks protect it, and a word that begins with `#` ends the line.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let mut word = String::new();
        loop {
            let mut letters = rest.chars();
            match letters.next() {
                None => break,
                Some(mark @ ('"' | '\'')) => {
                    let (quoted, behind) = letters.as_str().split_once(mark)?;
                    word.push_str(quoted);
                    rest = behind;
                }
                Some(letter) if letter.is_ascii_whitespace() => break,
                Some(letter) => {
                    word.push(letter);
                    rest = letters.as_str();
                }
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Some(words)
}

fn array(number: usize, words: impl Iterator<Item = String>) -> Result<ArrayLine, MdadmConfError> {
    let mut array = ArrayLine {
        number,
        ..ArrayLine::default()
    };
    for word in words {
        let line = number;
        let is_new = match word.split_once('=') {
            None if word == "<ignore>" => !std::mem::replace(&mut array.ignored, true),
            None if !word.is_empty() => array.device.replace(word.clone()).is_none(),
            Some((tag, value)) if !value.is_empty() => match tag.to_ascii_lowercase().as_str() {
                "uuid" => {
                    let id = ArrayId::parse(value);
                    let id = id.ok_or_else(|| MdadmConfError::Word {
                        line,
                        word: word.clone(),
                    })?;
                    array.id.replace(id).is_none()
                }
                "name" => array.name.replace(value.to_owned()).is_none(),
                "metadata" => array.metadata.replace(value.to_owned()).is_none(),
                "container" => array.container.replace(value.to_owned()).is_none(),
                "super-minor" => {
                    let minor = value.parse().map_err(|_| MdadmConfError::Word {
                        line,
                        word: word.clone(),
                    })?;
                    array.super_minor.replace(minor).is_none()
                }
                "devices" => {
                    array.devices.extend(value.split(',').map(str::to_owned));
                    true
                }
                "level" | "num-devices" | "raid-devices" | "spares" | "spare-group" | "auto"
                | "bitmap" | "member" | "disks" => {
                    array.others.push(word.clone());
                    true
                }
                _ => return Err(MdadmConfError::Word { line, word }),
            },
            _ => return Err(MdadmConfError::Word { line, word }),
        };
        if !is_new {
            return Err(MdadmConfError::Twice { line, word });
        }
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Debian's mkconf writes it.
    const DEBIAN: &str = "# mdadm.conf\n#\n#DEVICE partitions containers\n\nHOMEHOST <system>\n\
        MAILADDR root\n\nARRAY /dev/md/0  metadata=1.2 UUID=dcf61b8d:18d80312:b0cb2967:25e5477c name=vectors:0\n\
        ARRAY <ignore> uuid=8c74b3a7:d654e247:9feb9172:ac4d5668\n";

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn what_installers_write_is_read() {
        let conf = read(DEBIAN).unwrap();
        assert_eq!(conf.home_hosts, ["<system>"]);
        let [one, other] = &conf.arrays[..] else {
            panic!("{conf:?}");
        };
        assert_eq!((one.number, other.number), (8, 9));
        assert_eq!(one.device.as_deref(), Some("/dev/md/0"));
        assert_eq!(
            one.id.unwrap().to_string(),
            "dcf61b8d:18d80312:b0cb2967:25e5477c"
        );
        assert_eq!(one.name.as_deref(), Some("vectors:0"));
        assert!(other.ignored && other.device.is_none());
    }

    #[test]
    fn words_are_abbreviated_quoted_and_continued() {
        let conf = read(
            "dev /dev/sd* '/dev/my disk' # rest\narr 'md \"x\"'\n\n  # still\n\tdevices=/dev/a,/dev/b level=raid1\n\
             POL domain=a\nencryption_no_verify sata_opal\n",
        )
        .unwrap();
        assert_eq!(conf.devices, ["/dev/sd*", "/dev/my disk"]);
        assert_eq!(conf.arrays[0].device.as_deref(), Some("md \"x\""));
        assert_eq!(conf.arrays[0].devices, ["/dev/a", "/dev/b"]);
        assert_eq!(conf.arrays[0].others, ["level=raid1"]);
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        assert_eq!(
            error("\nARRAYS /dev/md0\n"),
            "line 2: the keyword \"ARRAYS\" is not known"
        );
        assert!(error("AR x").contains("keyword"));
        assert_eq!(error(" x"), "line 1 continues a line, but is the first");
        assert_eq!(error("ARRAY 'x\n"), "line 1: a quotation has no end");
        assert_eq!(
            error("ARRAY a b"),
            "line 1: \"b\" is the second of its kind"
        );
        assert_eq!(
            error("ARRAY name=a name=b"),
            "line 1: \"name=b\" is the second of its kind"
        );
        for wrong in [
            "uuid=1",
            "uuid=",
            "uuid",
            "colour=red",
            "super-minor=x",
            "\"\"",
        ] {
            let text = format!(
                "ARRAY /dev/md0 {wrong}{}",
                if wrong == "uuid" { "=g" } else { "" }
            );
            assert!(error(&text).contains("line 1: "), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(ARRAY |uuid=|[a-z0-9:=\"' \t\n#<>]|\\PC){0,60}") {
            if let Ok(conf) = read(&text) {
                prop_assert!(conf.arrays.len() <= text.len());
            }
        }
    }
}
