//! How much of the machine one program may use.

use std::str::FromStr;

use nix::sys::sysinfo::sysinfo;

/// Processes and threads of a program, unless the policy says otherwise.
const PROCESSES: u64 = 4096;
/// The largest processor share: this many processors.
const MOST_PROCESSORS: u64 = 4096;

/// The most that a program may use, with all processes that it starts. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, page cache included; it is not swapped out instead.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Hundredths of one processor: 150 is one and a half.
    pub cpu: Option<u64>,
}

/// Why a limit is none; a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Not a number of bytes.
    #[error(
        "{0:?} is not an amount of memory: expected bytes, or a number with K, M, G or T (65536 at least)"
    )]
    Memory(String),
    /// Not a share of processors.
    #[error("{0:?} is not a share of a processor: expected per cent of one, such as 50% or 150%")]
    Cpu(String),
    /// More than the policy allows.
    #[error("{what}: {asked} asked for, but the host's policy allows programs {allowed}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// What was asked for.
        asked: u64,
        /// What can be had.
        allowed: u64,
    },
    /// No process at all.
    #[error("processes: 0 asked for; a program is one at least")]
    NoProcess,
}

/// Memory, from `512M` and the like; units are powers of 1024.
///
/// # Errors
/// When it is something else, or less than 64 KiB.
pub fn parse_memory(text: &str) -> Result<u64, LimitError> {
    const SMALLEST: u64 = 65536;
    let wrong = || LimitError::Memory(text.to_owned());
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match text.get(digits.len()..) {
        Some("") => 0,
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        Some("T") => 40,
        _ => return Err(wrong()),
    };
    let number = u64::from_str(digits).map_err(|_| wrong())?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes >= SMALLEST)
        .ok_or_else(wrong)
}

/// A share of processors, from `150%`.
///
/// # Errors
/// When it is something else, or no share that there is.
pub fn parse_cpu(text: &str) -> Result<u64, LimitError> {
    text.strip_suffix('%')
        .and_then(|digits| u64::from_str(digits).ok())
        .filter(|share| (1..=MOST_PROCESSORS * 100).contains(share))
        .ok_or_else(|| LimitError::Cpu(text.to_owned()))
}

impl Limits {
    /// What leaves room for others on this machine: three quarters of the memory, and 4096
    /// processes.
    #[expect(
        clippy::expect_used,
        reason = "sysinfo(2) fails only where it cannot write its answer, see its man page"
    )]
    pub fn of_this_machine() -> Self {
        let memory = sysinfo().expect("sysinfo(2) with a buffer").ram_total();
        Self {
            memory: Some(memory.saturating_mul(3) / 4),
            processes: Some(PROCESSES),
            cpu: None,
        }
    }

    /// No limit at all?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, lowered to what is asked for.
    ///
    /// # Errors
    /// When more is asked for than these limits allow, or no process at all.
    pub fn lowered(&self, asked: &Self) -> Result<Self, LimitError> {
        if asked.processes == Some(0) {
            return Err(LimitError::NoProcess);
        }
        let lower = |what, allowed: Option<u64>, asked: Option<u64>| match (allowed, asked) {
            (Some(allowed), Some(asked)) if asked > allowed => Err(LimitError::TooMuch {
                what,
                asked,
                allowed,
            }),
            (allowed, asked) => Ok(asked.or(allowed)),
        };
        Ok(Self {
            memory: lower("bytes of memory", self.memory, asked.memory)?,
            processes: lower("processes", self.processes, asked.processes)?,
            cpu: lower("per cent of a processor", self.cpu, asked.cpu)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_memory("64M"), Ok(64 << 20));
        assert_eq!(parse_memory("65536"), Ok(65536));
        for text in [
            "",
            "M",
            "1",
            "64MM",
            "64m",
            "-1",
            "99999999999T",
            "1.5G",
            "KM",
        ] {
            assert!(parse_memory(text).is_err(), "{text}");
        }
        assert_eq!(parse_cpu("150%"), Ok(150));
        for text in ["", "%", "50", "0%", "9999999%", "-5%"] {
            assert!(parse_cpu(text).is_err(), "{text}");
        }
    }

    #[test]
    fn who_starts_a_program_can_lower_the_limits_and_not_raise_them() {
        let policy = Limits {
            memory: Some(1 << 30),
            processes: Some(100),
            cpu: None,
        };
        let asked = Limits {
            memory: Some(1 << 20),
            cpu: Some(50),
            ..Limits::default()
        };
        let expected = Limits {
            memory: Some(1 << 20),
            processes: Some(100),
            cpu: Some(50),
        };
        assert_eq!(policy.lowered(&asked), Ok(expected));
        let more = Limits {
            processes: Some(101),
            ..Limits::default()
        };
        assert!(matches!(
            policy.lowered(&more),
            Err(LimitError::TooMuch {
                asked: 101,
                allowed: 100,
                ..
            })
        ));
        let none = Limits {
            processes: Some(0),
            ..Limits::default()
        };
        assert_eq!(policy.lowered(&none), Err(LimitError::NoProcess));
    }
}
