//! Policy elements: what a list of a launch control policy allows.
//!
//! Each element is a header of 12 bytes (size of the whole, type, control) and a body. The types
//! below 0x10 are TPM 1.2's, with SHA-1 only; those from 0x10 on name their hash algorithm.

use crate::codec::{FormatError, Reader, size32, value};

mod custom;
mod hashes;
mod pconf;
mod sbios;

pub use custom::{Custom, TBOOT_UUID, Uuid};
pub use hashes::{HashList, LegacyMle, Mle2};
pub use pconf::{LegacyPconf, Pconf2, PcrInfoShort};
pub use sbios::{LegacySbios, Sbios};

/// Length of an element's header, in bytes.
pub const HEADER_LEN: usize = 12;

/// One element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Control bits; bit 0 set in the owner's policy: SINIT ignores the platform supplier's
    /// elements of this type.
    pub control: u32,
    /// What the element says.
    pub body: Body,
}

/// The body of an element by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// 0x00: hashes of measured environments, TPM 1.2.
    LegacyMle(LegacyMle),
    /// 0x01: PCR values that the platform must have, TPM 1.2.
    LegacyPconf(LegacyPconf),
    /// 0x02: hashes of startup BIOS, TPM 1.2.
    LegacySbios(LegacySbios),
    /// 0x03: data that SINIT ignores, TPM 1.2.
    LegacyCustom(Custom),
    /// 0x10: hashes of measured environments.
    Mle2(Mle2),
    /// 0x11: PCR values that the platform must have.
    Pconf2(Pconf2),
    /// 0x12: hashes of startup BIOS.
    Sbios(Sbios),
    /// 0x13: data that SINIT ignores.
    Custom(Custom),
    /// 0x14: hashes of SMM transfer monitors.
    Stm(HashList),
    /// Any other type, kept as it is.
    Unknown {
        /// The type's number.
        number: u32,
        /// Everything behind the header.
        data: Vec<u8>,
    },
}

impl Body {
    /// The type's number in the header.
    pub const fn number(&self) -> u32 {
        match self {
            Self::LegacyMle(_) => 0x00,
            Self::LegacyPconf(_) => 0x01,
            Self::LegacySbios(_) => 0x02,
            Self::LegacyCustom(_) => 0x03,
            Self::Mle2(_) => 0x10,
            Self::Pconf2(_) => 0x11,
            Self::Sbios(_) => 0x12,
            Self::Custom(_) => 0x13,
            Self::Stm(_) => 0x14,
            Self::Unknown { number, .. } => *number,
        }
    }

    /// The type's name on command lines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LegacyMle(_) => "mle",
            Self::LegacyPconf(_) => "pconf",
            Self::LegacySbios(_) => "sbios-legacy",
            Self::LegacyCustom(_) => "custom-legacy",
            Self::Mle2(_) => "mle2",
            Self::Pconf2(_) => "pconf2",
            Self::Sbios(_) => "sbios",
            Self::Custom(_) => "custom",
            Self::Stm(_) => "stm",
            Self::Unknown { .. } => "unknown",
        }
    }

    fn read(number: u32, reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(match number {
            0x00 => Self::LegacyMle(LegacyMle::read(reader)?),
            0x01 => Self::LegacyPconf(LegacyPconf::read(reader)?),
            0x02 => Self::LegacySbios(LegacySbios::read(reader)?),
            0x03 => Self::LegacyCustom(Custom::read(reader)?),
            0x10 => Self::Mle2(Mle2::read(reader)?),
            0x11 => Self::Pconf2(Pconf2::read(reader)?),
            0x12 => Self::Sbios(Sbios::read(reader)?),
            0x13 => Self::Custom(Custom::read(reader)?),
            0x14 => {
                let alg = reader.hash_alg()?;
                Self::Stm(HashList::read(reader, alg)?)
            }
            _ => {
                let data = reader.take("element data", reader.rest().len())?.to_vec();
                Self::Unknown { number, data }
            }
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match self {
            Self::LegacyMle(mle) => mle.write(out),
            Self::LegacyPconf(pconf) => pconf.write(out),
            Self::LegacySbios(sbios) => sbios.write(out),
            Self::LegacyCustom(custom) | Self::Custom(custom) => custom.write(out),
            Self::Mle2(mle) => mle.write(out),
            Self::Pconf2(pconf) => pconf.write(out),
            Self::Sbios(sbios) => sbios.write(out),
            Self::Stm(hashes) => {
                out.extend(hashes.alg().tpm_alg().to_le_bytes());
                hashes.write(out)
            }
            Self::Unknown { data, .. } => {
                out.extend(data);
                Ok(())
            }
        }
    }
}

impl Element {
    /// Reads the element that a reader stands before.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let offset = reader.offset();
        let left = reader.rest().len();
        let size = reader.u32("element size")?;
        // A size below the header's would let a reader stand still: the original tools loop for
        // ever on size 0.
        let Some(body_len) = (size as usize).checked_sub(HEADER_LEN) else {
            return Err(value(
                "element size",
                offset,
                "at least 12 (its header)",
                size,
            ));
        };
        if size as usize > left {
            let expected = format!("at most the {left} bytes that are left");
            return Err(value("element size", offset, expected, size));
        }
        let number = reader.u32("element type")?;
        let control = reader.u32("policy_elt_control")?;
        let mut part = reader.part("element", body_len)?;
        let body = Body::read(number, &mut part)?;
        part.finish("the element's last field")?;
        Ok(Self { control, body })
    }

    /// Reads an element file: one element and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let element = Self::read(&mut reader)?;
        reader.finish("the element")?;
        Ok(element)
    }

    /// The element's bytes; an error when its parts do not fit into their fields.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut body = Vec::new();
        self.body.write(&mut body)?;
        let size = size32("an element", body.len().saturating_add(HEADER_LEN))?;
        let mut out = size.to_le_bytes().to_vec();
        out.extend(self.body.number().to_le_bytes());
        out.extend(self.control.to_le_bytes());
        out.extend(body);
        Ok(out)
    }
}
