//! UUIDs as the originals take them on the command line.

use txt::element::{TBOOT_UUID, Uuid};

/// A UUID as the originals take it: tboot, or C notation.
pub fn parse(text: &str) -> Option<Uuid> {
    let text = text.trim();
    if text == "tboot" {
        return Some(TBOOT_UUID);
    }
    let inner = text.strip_prefix('{')?.strip_suffix('}')?.trim();
    let (head, tail) = inner.split_once('{')?;
    let tail = tail.trim().strip_suffix('}')?;
    let number = |text: &str| {
        let text = text.trim();
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
    };
    let head = head.trim().strip_suffix(',')?;
    let head: Vec<u32> = head.split(',').map(number).collect::<Option<_>>()?;
    let tail: Vec<u32> = tail.split(',').map(number).collect::<Option<_>>()?;
    let [data1, data2, data3, data4] = head.as_slice() else {
        return None;
    };
    let bytes: Vec<u8> = tail
        .iter()
        .map(|n| u8::try_from(*n).ok())
        .collect::<Option<_>>()?;
    Some(Uuid {
        data1: *data1,
        data2: u16::try_from(*data2).ok()?,
        data3: u16::try_from(*data3).ok()?,
        data4: u16::try_from(*data4).ok()?,
        data5: bytes.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_taken_in_c_notation() {
        let text = "{0xc3930641, 0xe3cb, 0x4f40, 0x91d7, {0x27, 0xf8, 0xb9, 0xe2, 0x5c, 0x86}}";
        assert_eq!(parse(text), Some(TBOOT_UUID));
        assert_eq!(parse(" tboot"), Some(TBOOT_UUID));
        for text in [
            "",
            "{}",
            "{1,2,3,4,{5,6,7,8,9}}",
            "{1,2,3,4{5,6,7,8,9,a}}",
            "1,2,3,4,{1,2,3,4,5,6}}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
