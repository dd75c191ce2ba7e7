//! LVM's UUIDs, and the names that it gives to device-mapper.

use std::fmt;

/// The UUID of a physical volume, a group or a logical volume: 32 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 32]);

/// Where LVM prints hyphens.
const GROUPS: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

impl Id {
    /// From the 32 bytes in a label.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#".contains(byte);
        bytes.iter().all(is_valid).then_some(Self(bytes))
    }

    /// From text with hyphens where LVM prints them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut bytes = Vec::with_capacity(32);
        for length in GROUPS {
            let part = parts.next().filter(|part| part.len() == length)?;
            bytes.extend_from_slice(part.as_bytes());
        }
        if parts.next().is_some() {
            return None;
        }
        Self::from_bytes(bytes.try_into().ok()?)
    }

    /// Without hyphens.
    pub fn compact(&self) -> &str {
        // All characters are ASCII.
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.compact();
        for length in GROUPS {
            if rest.len() < 32 {
                formatter.write_str("-")?;
            }
            let (part, others) = rest.split_at_checked(length).unwrap_or((rest, ""));
            formatter.write_str(part)?;
            rest = others;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// May a group or a logical volume have this name (lvm(8), "Valid names")?
pub fn is_name(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
    (1..=127).contains(&text.len())
        && text.bytes().all(is_valid)
        && !text.starts_with('-')
        && text != "."
        && text != ".."
}

/// The name below /dev/mapper: hyphens in the names are doubled, and one stands between them.
pub fn mapping_name(group: &str, volume: &str) -> String {
    format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

/// Reads a [`mapping_name`]: the group and the volume.
pub fn split_mapping_name(name: &str) -> Option<(String, String)> {
    // The first hyphen of an odd run separates; pairs are hyphens of the names.
    let mut parts = vec![String::new()];
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '-' && letters.next_if_eq(&'-').is_none() {
            parts.push(String::new());
        } else {
            parts.last_mut()?.push(letter);
        }
    }
    let [group, volume] = <[String; 2]>::try_from(parts).ok()?;
    (is_name(&group) && is_name(&volume)).then_some((group, volume))
}

/// The UUID of the mapping in device-mapper.
pub fn mapping_uuid(group: &Id, volume: &Id) -> String {
    format!("LVM-{}{}", group.compact(), volume.compact())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "jZZumk-LGUS-Auiu-iU0V-eqQ1-4Rqj-yfPdde";

    #[test]
    fn an_id_is_printed_as_lvm_prints_it() {
        let id = Id::parse(TEXT).unwrap();
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(id.compact(), TEXT.replace('-', ""));
        for wrong in [
            "",
            &TEXT[1..],
            &TEXT.replace('-', ""),
            &TEXT.replace('Z', "/"),
        ] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Id::parse(&format!("{TEXT}-")), None);
    }

    #[test]
    fn hyphens_in_names_are_doubled() {
        assert_eq!(mapping_name("debian-vg", "swap_1"), "debian--vg-swap_1");
        let split = |name| split_mapping_name(name).map(|(g, v)| format!("{g}/{v}"));
        assert_eq!(split("debian--vg-swap_1").unwrap(), "debian-vg/swap_1");
        assert_eq!(split("a-b-c"), None);
        assert_eq!(split("a--b"), None);
        assert_eq!(split("a-"), None);
    }

    proptest! {
        #[test]
        fn names_come_back(group in "[a-z+_.][a-z+_.-]{0,9}[a-z]", volume in "[a-z][a-z-]{0,9}") {
            prop_assert_eq!(
                split_mapping_name(&mapping_name(&group, &volume)),
                Some((group, volume))
            );
        }
    }
}
