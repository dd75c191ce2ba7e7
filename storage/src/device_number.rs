//! Numbers of devices.

use std::fmt;

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    /// Of the driver.
    pub major: u32,
    /// Of the device.
    pub minor: u32,
}

impl Number {
    /// From `8:1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        let number = |text: &str| {
            let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
            is_number.then(|| text.parse().ok())?
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}
