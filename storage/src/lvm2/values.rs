//! Values of a section of LVM's metadata, and what is wrong with them.

use super::tree::{Section, SyntaxError, Value};

/// Metadata that does not describe a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupTextError {
    /// Its syntax is wrong.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A key has no value, or none that it can have.
    #[error("LVM's metadata: the {key} of {place} is missing, or is not what it should be")]
    Key {
        /// Section.
        place: String,
        /// Key.
        key: &'static str,
    },
    /// Not a group's text.
    #[error("LVM's metadata is not that of one volume group in format 1")]
    Kind,
    /// A name that LVM would not give.
    #[error("LVM's metadata names {0:?}, which cannot be a name")]
    Name(String),
    /// A state that changes what the group means.
    #[error("the volume group {group} has the state {state:?}, which is not known")]
    State {
        /// Group.
        group: String,
        /// Its word.
        state: String,
    },
    /// More than is read.
    #[error("LVM's metadata has more than {most} {what}")]
    Many {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// Two of one UUID.
    #[error("LVM's metadata gives {0} and {1} one UUID")]
    SameId(String, String),
    /// Segments that do not follow one another.
    #[error("segment {number} of {volume} does not begin where the one before ends")]
    Hole {
        /// Volume.
        volume: String,
        /// Which.
        number: usize,
    },
    /// A segment that cannot be.
    #[error("segment {number} of {volume} {what}")]
    Segment {
        /// Volume.
        volume: String,
        /// Which.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// No more than `most`.
pub fn at_most(count: usize, most: usize, what: &'static str) -> Result<(), GroupTextError> {
    if count > most {
        return Err(GroupTextError::Many { what, most });
    }
    Ok(())
}

/// A whole number in `range`.
pub fn number(
    section: &Section,
    key: &'static str,
    place: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, GroupTextError> {
    let number = match section.values.get(key) {
        Some(Value::Number(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| wrong(place, key))
}

/// A list of words. Without the key, an empty one: `flags` came late.
pub fn texts<'s>(
    section: &'s Section,
    key: &'static str,
    place: &str,
) -> Result<Vec<&'s str>, GroupTextError> {
    let values = match section.values.get(key) {
        Some(Value::List(values)) => values.as_slice(),
        None if key == "flags" => &[],
        _ => return Err(wrong(place, key)),
    };
    let texts = values.iter().map(|value| match value {
        Value::Text(text) => Ok(text.as_str()),
        _ => Err(wrong(place, key)),
    });
    texts.collect()
}

/// The error for a key without the value that it needs.
pub fn wrong(place: &str, key: &'static str) -> GroupTextError {
    GroupTextError::Key {
        place: place.to_owned(),
        key,
    }
}
