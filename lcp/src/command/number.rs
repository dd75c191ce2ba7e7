//! Numbers on command lines: decimal, or hexadecimal after 0x. A number that does not fit is an
//! error; the original tools cut it silently.

/// A number of 32 bits.
pub fn u32(text: &str) -> Result<u32, String> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.starts_with(['+', '-']) {
        return Err(format!("{text:?} is not a number"));
    }
    u32::from_str_radix(digits, radix)
        .map_err(|_| format!("{text:?} is not a number: decimal, or hexadecimal after 0x"))
}

/// A number of 16 bits.
pub fn u16(text: &str) -> Result<u16, String> {
    u16::try_from(u32(text)?).map_err(|_| format!("{text} is too large: at most 65535"))
}

/// A number of 8 bits.
pub fn u8(text: &str) -> Result<u8, String> {
    u8::try_from(u32(text)?).map_err(|_| format!("{text} is too large: at most 255"))
}

/// A register of at most 64 bits, always hexadecimal, with or without 0x.
pub fn hex64(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = digits.unwrap_or(text);
    if digits.starts_with('+') {
        return Err(format!("{text:?} is not a number"));
    }
    u64::from_str_radix(digits, 16)
        .map_err(|_| format!("{text:?} is not a hexadecimal number of at most 64 bits"))
}

/// Up to eight revocation counters, separated by commas; missing ones are 0.
pub fn counters(text: &str) -> Result<[u16; 8], String> {
    let mut counters = [0; 8];
    let given: Vec<&str> = text.split(',').collect();
    if given.len() > counters.len() {
        return Err(format!(
            "{} revocation counters: a policy has 8",
            given.len()
        ));
    }
    for (counter, text) in counters.iter_mut().zip(given) {
        *counter = u16(text.trim())?;
    }
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(u8("0xff"), Ok(255));
        assert!(u8("300").is_err() && u16("65536").is_err() && u32("0x100000000").is_err());
        assert!(
            u32("-1").is_err() && u32("0x-1").is_err() && u32("").is_err() && u32("x").is_err()
        );
        assert_eq!(counters("1,0x2"), Ok([1, 2, 0, 0, 0, 0, 0, 0]));
        assert!(counters("1,2,3,4,5,6,7,8,9").is_err() && counters("1,,2").is_err());
    }
}
