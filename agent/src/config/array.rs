//! Arrays of the kernel's md driver (software RAID) that are assembled before volumes are looked for.

use serde::Deserialize;
use storage::md::ArrayId;

use super::error::ConfigError;

/// Most arrays of a machine.
pub const MAX_ARRAYS: usize = 16;

/// One array.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayConfig {
    /// Its UUID, as `mdadm --detail` prints it.
    #[serde(deserialize_with = "array_id")]
    pub uuid: ArrayId,
    /// Its node below /dev, as mdadm.conf has it; otherwise `md127` and downwards.
    #[serde(default)]
    pub name: Option<String>,
    /// How many members it has. With it an array that says another number is not started.
    #[serde(default)]
    pub members: Option<u32>,
    /// Is it started without those of its members that do not appear in time?
    #[serde(default)]
    pub degraded: bool,
}

fn array_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ArrayId, D::Error> {
    let text = String::deserialize(deserializer)?;
    ArrayId::parse(&text).ok_or_else(|| {
        let short: String = text.chars().take(64).collect();
        serde::de::Error::custom(format!(
            "{short:?} is not the UUID of an array: expected 32 hex digits, as mdadm --detail prints them"
        ))
    })
}

/// Names that the kernel makes nodes of, and nothing twice.
pub(super) fn check(arrays: &[ArrayConfig], origin: &str) -> Result<(), ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        origin: origin.into(),
        reason,
    };
    if arrays.len() > MAX_ARRAYS {
        return Err(invalid(format!(
            "{} arrays are named, expected at most {MAX_ARRAYS}",
            arrays.len()
        )));
    }
    for (position, array) in arrays.iter().enumerate() {
        if let Some(name) = array.name.as_ref().filter(|name| number(name).is_none()) {
            return Err(invalid(format!(
                "{name:?} is not the name of an array's device: expected md0 to md511"
            )));
        }
        for other in arrays.iter().take(position) {
            if other.uuid == array.uuid {
                return Err(invalid(format!("the array {} is named twice", array.uuid)));
            }
            if let (Some(name), Some(same)) = (&array.name, &other.name)
                && name == same
            {
                return Err(invalid(format!("two arrays have the name {name:?}")));
            }
        }
    }
    Ok(())
}

/// The number in `md0`; the kernel knows 512 of them by number alone.
pub fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("md")?;
    let number: u32 = digits.parse().ok().filter(|number| *number < 512)?;
    (number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const A: &str = "0a1b2c3d:00004000:80000000:00000001";

    #[test]
    fn arrays_are_read_and_what_contradicts_itself_is_refused() {
        let array = |uuid: &str, more: &str| format!("[[array]]\nuuid = \"{uuid}\"\n{more}");
        let text = array(A, "name = \"md0\"\n") + &array(&A.replace('a', "b"), "degraded = true\n");
        let arrays = Config::parse(&text, "t").unwrap().array;
        assert_eq!(arrays[0].uuid.to_string(), A);
        assert_eq!(arrays[0].name.as_deref(), Some("md0"));
        assert!(!arrays[0].degraded && arrays[1].degraded);
        let other = A.replace('a', "b");
        for (text, said) in [
            (array("xyz", ""), "not the UUID of an array"),
            (array(A, "name = \"sda\"\n"), "md0 to md511"),
            (array(A, "name = \"md00\"\n"), "md0 to md511"),
            (array(A, "name = \"md512\"\n"), "md0 to md511"),
            (array(A, "") + &array(A, ""), "named twice"),
            (
                array(A, "name = \"md1\"\n") + &array(&other, "name = \"md1\"\n"),
                "have the name",
            ),
            (array(A, "force = true\n"), "unknown field"),
        ] {
            let error = Config::parse(&text, "t").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
