//! The elements that SINIT carries along without reading: custom, named by a UUID.

use std::{fmt, str::FromStr};

use crate::codec::{FormatError, Reader};

/// A UUID as Intel's structures store it: three little-endian numbers, one more, six bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid {
    /// First group, 8 digits.
    pub data1: u32,
    /// Second group.
    pub data2: u16,
    /// Third group.
    pub data3: u16,
    /// Fourth group.
    pub data4: u16,
    /// Last group, 12 digits.
    pub data5: [u8; 6],
}

/// The UUID of tboot's verified launch policy; `--uuid tboot`.
pub const TBOOT_UUID: Uuid = Uuid {
    data1: 0xc393_0641,
    data2: 0xe3cb,
    data3: 0x4f40,
    data4: 0x91d7,
    data5: [0x27, 0xf8, 0xb9, 0xe2, 0x5c, 0x86],
};

impl Uuid {
    /// The sixteen bytes in a file.
    pub fn to_bytes(self) -> [u8; 16] {
        let [a0, a1, a2, a3] = self.data1.to_le_bytes();
        let [b0, b1] = self.data2.to_le_bytes();
        let [c0, c1] = self.data3.to_le_bytes();
        let [d0, d1] = self.data4.to_le_bytes();
        let [e0, e1, e2, e3, e4, e5] = self.data5;
        [
            a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, e0, e1, e2, e3, e4, e5,
        ]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            data1: reader.u32("uuid")?,
            data2: reader.u16("uuid")?,
            data3: reader.u16("uuid")?,
            data4: reader.u16("uuid")?,
            data5: reader.array("uuid")?,
        })
    }
}

/// The usual form, c3930641-e3cb-4f40-91d7-27f8b9e25c86.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data1,
            data2,
            data3,
            data4,
            data5,
        } = self;
        write!(
            f,
            "{data1:08x}-{data2:04x}-{data3:04x}-{data4:04x}-{}",
            hex::encode(data5)
        )
    }
}

impl FromStr for Uuid {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "tboot" {
            return Ok(TBOOT_UUID);
        }
        let wrong = || {
            FormatError::Parts(format!(
                "{text:?} is not a UUID: tboot, or 8-4-4-4-12 hexadecimal digits"
            ))
        };
        let groups: Vec<&str> = text.split('-').collect();
        let [a, b, c, d, e] = groups.as_slice() else {
            return Err(wrong());
        };
        let group16 = |group: &str| match group.len() {
            4 => u16::from_str_radix(group, 16).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        if a.len() != 8 || text.contains('+') {
            return Err(wrong());
        }
        let mut data5 = [0; 6];
        hex::decode_to_slice(e, &mut data5).map_err(|_| wrong())?;
        Ok(Self {
            data1: u32::from_str_radix(a, 16).map_err(|_| wrong())?,
            data2: group16(b)?,
            data3: group16(c)?,
            data4: group16(d)?,
            data5,
        })
    }
}

/// 0x13 (0x03 for TPM 1.2): data with a UUID that says whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// Whose data it is.
    pub uuid: Uuid,
    /// The data.
    pub data: Vec<u8>,
}

impl Custom {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let uuid = Uuid::read(reader)?;
        Ok(Self {
            uuid,
            data: reader.take("custom data", reader.rest().len())?.to_vec(),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend(self.uuid.to_bytes());
        out.extend(&self.data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tboots_uuid_has_the_bytes_that_tboot_looks_for() {
        let expected = "410693c3cbe3404fd79127f8b9e25c86";
        assert_eq!(hex::encode(TBOOT_UUID.to_bytes()), expected);
        assert_eq!("tboot".parse(), Ok(TBOOT_UUID));
        assert_eq!(TBOOT_UUID.to_string().parse(), Ok(TBOOT_UUID));
    }

    #[test]
    fn text_that_is_no_uuid_is_refused() {
        for text in [
            "",
            "c3930641",
            "c3930641-e3cb-4f40-91d7-27f8b9e25c8",
            "+3930641-e3cb-4f40-91d7-27f8b9e25c86",
            "c3930641-+3cb-4f40-91d7-27f8b9e25c86",
            "c3930641-e3cb-4f40-91d7-27f8b9e25c86-",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
