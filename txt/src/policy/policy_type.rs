//! What a policy asks for.

use crate::codec::{FormatError, Reader, value};

/// What a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// 0: what one of the lists allows.
    List,
    /// 1: any measured environment on any platform.
    Any,
}

impl PolicyType {
    /// The number in the file.
    pub const fn number(self) -> u8 {
        match self {
            Self::List => 0,
            Self::Any => 1,
        }
    }

    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Any => "any",
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let offset = reader.offset();
        match reader.u8("policy_type")? {
            0 => Ok(Self::List),
            1 => Ok(Self::Any),
            found => Err(value("policy_type", offset, "0 (list) or 1 (any)", found)),
        }
    }
}
