//! Which md arrays are assembled: the command line's, else the configuration's.

use storage::md::ArrayId;

use super::{cmdline::CommandLine, error::SettingsError};
use crate::config::{Config, MAX_ARRAYS, array_number};

/// The number that mdadm, too, gives to the first array that has none.
const FIRST_FREE: u32 = 127;

/// One array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArraySettings {
    /// Its UUID.
    pub uuid: ArrayId,
    /// Of its node, `/dev/mdNUMBER`.
    pub number: u32,
    /// How many members it has, if the owner says it.
    pub members: Option<u32>,
    /// Is it started without all of its members?
    pub degraded: bool,
}

/// The arrays that the command line names, with what the configuration says of the same UUIDs; else
/// those of the configuration.
///
/// # Errors
/// There are too many.
pub(super) fn arrays_of(
    line: &CommandLine,
    config: &Config,
) -> Result<Vec<ArraySettings>, SettingsError> {
    let wanted: Vec<ArrayId> = if line.arrays.is_empty() {
        config.array.iter().map(|array| array.uuid).collect()
    } else {
        line.arrays.clone()
    };
    if wanted.len() > MAX_ARRAYS {
        return Err(SettingsError::TooManyArrays);
    }
    let known = |uuid: ArrayId| config.array.iter().find(move |array| array.uuid == uuid);
    let named = |uuid: ArrayId| known(uuid)?.name.as_deref().and_then(array_number);
    let taken: Vec<u32> = wanted.iter().filter_map(|uuid| named(*uuid)).collect();
    let mut free = (0..=FIRST_FREE)
        .rev()
        .filter(|number| !taken.contains(number));
    wanted
        .iter()
        .map(|uuid| {
            let number = named(*uuid).or_else(|| free.next());
            Ok(ArraySettings {
                uuid: *uuid,
                number: number.ok_or(SettingsError::TooManyArrays)?,
                members: known(*uuid).and_then(|array| array.members),
                degraded: known(*uuid).is_some_and(|array| array.degraded),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_without_a_name_get_the_numbers_that_mdadm_would_give_them() {
        let id = |letter: &str| letter.repeat(32);
        let config = format!(
            "[[array]]\nuuid = \"{}\"\nname = \"md127\"\ndegraded = true\n[[array]]\nuuid = \"{}\"\n",
            id("a"),
            id("b")
        );
        let config = Config::parse(&config, "t").unwrap();
        let arrays = |line: &str| {
            let arrays = arrays_of(&CommandLine::parse(line).unwrap(), &config).unwrap();
            let list = arrays.iter();
            list.map(|array| (array.number, array.degraded))
                .collect::<Vec<_>>()
        };
        assert_eq!(arrays(""), [(127, true), (126, false)]);
        let line = format!("rd.md.uuid={} rd.md.uuid={}", id("c"), id("a"));
        assert_eq!(arrays(&line), [(126, false), (127, true)]);
        let many: String = (10..27)
            .map(|n| format!("rd.md.uuid={} ", format!("{n}").repeat(16)))
            .collect();
        let line = CommandLine::parse(&many).unwrap();
        assert!(arrays_of(&line, &config).is_err());
    }
}
