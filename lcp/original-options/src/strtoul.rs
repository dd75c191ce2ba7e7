//! Numbers as the originals read them with `strtoul`, and the same numbers checked.

/// What C's `strtoul` makes of a text, and how many bytes it used: blanks, a sign, a prefix,
/// digits; anything behind them is ignored, no digits are 0.
pub fn strtoul(text: &str, base: u32) -> (u64, usize) {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let mut index = 0_usize;
    while at(index).is_ascii_whitespace() || at(index) == 0x0b {
        index = index.saturating_add(1);
    }
    let negative = at(index) == b'-';
    if matches!(at(index), b'+' | b'-') {
        index = index.saturating_add(1);
    }
    let digit = |byte: u8, base: u32| char::from(byte).to_digit(base);
    let prefixed = at(index) == b'0'
        && matches!(at(index.saturating_add(1)), b'x' | b'X')
        && digit(at(index.saturating_add(2)), 16).is_some();
    let base = match base {
        0 if prefixed => 16,
        0 if at(index) == b'0' => 8,
        0 => 10,
        base => base,
    };
    if base == 16 && prefixed {
        index = index.saturating_add(2);
    }
    let begin = index;
    let (mut number, mut overflow) = (0u64, false);
    while let Some(value) = digit(at(index), base) {
        let next = number
            .checked_mul(base.into())
            .and_then(|n| n.checked_add(value.into()));
        overflow |= next.is_none();
        number = next.unwrap_or(u64::MAX);
        index = index.saturating_add(1);
    }
    if index == begin {
        return (0, 0);
    }
    if overflow {
        return (u64::MAX, index);
    }
    (
        if negative {
            number.wrapping_neg()
        } else {
            number
        },
        index,
    )
}

/// A text that is no number of an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{option} {text}: expected a number of at most {bits} bits (--compat takes what the original would make of it)"
)]
pub struct NumberError {
    /// The option.
    pub option: String,
    /// What was given.
    pub text: String,
    /// How many bits the number may have.
    pub bits: u32,
}

/// A number that an option takes.
pub trait Number: TryFrom<u64> {
    /// How many bits it has.
    const BITS: u32;
    /// The low bits.
    fn cut(number: u64) -> Self;
}

impl Number for u8 {
    const BITS: u32 = Self::BITS;
    fn cut(number: u64) -> Self {
        number.to_le_bytes()[0]
    }
}

impl Number for u16 {
    const BITS: u32 = Self::BITS;
    fn cut(number: u64) -> Self {
        let [low, high, ..] = number.to_le_bytes();
        Self::from_le_bytes([low, high])
    }
}

impl Number for u32 {
    const BITS: Self = Self::BITS;
    fn cut(number: u64) -> Self {
        let [a, b, c, d, ..] = number.to_le_bytes();
        Self::from_le_bytes([a, b, c, d])
    }
}

/// A number of an option: the original's, when it is one and fits. With `compat` it is cut silently,
/// as the original does.
///
/// # Errors
/// The text is no such number, and `compat` is not asked for.
pub fn number<N: Number>(
    option: &str,
    text: &str,
    base: u32,
    compat: bool,
) -> Result<N, NumberError> {
    let (value, used) = strtoul(text, base);
    let whole = used > 0 && used == text.len() && !text.contains('-');
    match N::try_from(value) {
        Ok(number) if whole => Ok(number),
        _ if compat => Ok(N::cut(value)),
        _ => Err(NumberError {
            option: option.to_owned(),
            text: text.to_owned(),
            bits: N::BITS,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_what_c_makes_of_them() {
        for (text, base, expected) in [
            ("17", 0, (17, 2)),
            ("0x1f", 0, (31, 4)),
            ("010", 0, (8, 3)),
            ("  12 x", 0, (12, 4)),
            ("-1", 0, (u64::MAX, 2)),
            ("junk", 0, (0, 0)),
            ("0xg", 16, (0, 1)),
            ("aa bb", 16, (0xaa, 2)),
            ("99999999999999999999", 10, (u64::MAX, 20)),
        ] {
            assert_eq!(strtoul(text, base), expected, "{text}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_need_compat() {
        assert_eq!(number::<u8>("--minver", "0x1f", 0, false), Ok(31));
        for text in ["300", "-1", "junk", "1x", ""] {
            assert!(number::<u8>("--minver", text, 0, false).is_err(), "{text}");
        }
        assert_eq!(number::<u8>("--minver", "300", 0, true), Ok(0x2c));
        assert_eq!(number::<u16>("--rev", "-1", 0, true), Ok(0xffff));
        assert_eq!(
            number::<u32>("--ctrl", "0xffffffff", 0, false),
            Ok(u32::MAX)
        );
    }
}
