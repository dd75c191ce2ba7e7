//! The TPM's defence against guessed authorization values, and its numbers in words.

/// How the TPM defends authorization values against being guessed (Part 1, 19.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// It takes no value at present, not even the right one.
    pub locked: bool,
    /// Wrong ones that are not forgotten.
    pub failed: u32,
    /// With so many of them it is locked.
    pub most: u32,
    /// Seconds, while the TPM has power, after which it forgets one of them.
    pub interval: u32,
}

impl Lockout {
    /// How many more may be wrong before it locks itself.
    pub const fn left(&self) -> u32 {
        if self.locked {
            0
        } else {
            self.most.saturating_sub(self.failed)
        }
    }
}

/// `20 s`, `16 min 40 s` or `2 h`.
pub(crate) fn duration(seconds: u32) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    let parts = [(hours, "h"), (minutes, "min"), (seconds % 60, "s")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if parts.is_empty() {
        "0 s".into()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_said_in_units_a_person_uses() {
        for (seconds, text) in [
            (0, "0 s"),
            (20, "20 s"),
            (1000, "16 min 40 s"),
            (7200, "2 h"),
            (7265, "2 h 1 min 5 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn none_is_left_when_it_is_locked_whatever_the_numbers_say() {
        let lockout = |locked, failed| Lockout {
            locked,
            failed,
            most: 3,
            interval: 1000,
        };
        assert_eq!(lockout(false, 1).left(), 2);
        assert_eq!(lockout(false, 9).left(), 0);
        assert_eq!(lockout(true, 0).left(), 0);
    }
}
