//! Times in the configuration.

use serde::Deserialize;

/// A number of seconds from 0 to 3600, `DEFAULT` unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Seconds<const DEFAULT: u64>(u64);

impl<const DEFAULT: u64> Seconds<DEFAULT> {
    /// The number of seconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const DEFAULT: u64> Default for Seconds<DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const DEFAULT: u64> TryFrom<u64> for Seconds<DEFAULT> {
    type Error = String;
    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if seconds <= 3600 {
            Ok(Self(seconds))
        } else {
            Err(format!("{seconds} seconds is too long: 0 to 3600"))
        }
    }
}

impl<const DEFAULT: u64> std::str::FromStr for Seconds<DEFAULT> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: u64 = text
            .parse()
            .map_err(|_| format!("{text:?} is not a number of seconds (0 to 3600)"))?;
        Self::try_from(seconds)
    }
}
