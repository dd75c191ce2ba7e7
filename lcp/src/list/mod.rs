//! Policy lists: elements under one authority, unsigned or signed.
//!
//! Version 1.0 is TPM 1.2's, 2.0 and 2.1 are TPM 2.0's first form, 3.0 (LCP_POLICY_LIST2_1) is the
//! one with a place for the signature's own description. A policy names the hash of an unsigned
//! list, but only the hash of the *key* of a signed one: a signed list can be replaced without
//! touching the policy, and only its revocation counter stops an old one from coming back.

use txt::{
    codec::{FormatError, Reader, size32, value},
    element::Element,
    hash::{Digest, HashAlg},
};

mod signature;
mod signature_block;
mod version;

pub use signature::{EcScheme, RsaScheme, Signature, SignatureValue};
pub use version::{ListVersion, VersionError};

/// Length of every list's header, in bytes.
pub const HEADER_LEN: usize = 8;
/// `sig_alg` of an unsigned list: LCP_POLSALG_NONE in 1.0, TPM_ALG_NULL in 2.x.
const V1_UNSIGNED: u8 = 0;
const V1_RSA: u8 = 1;
const V2_UNSIGNED: u16 = 0x10;

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyList {
    version: ListVersion,
    elements: Vec<Element>,
    signature: Option<Signature>,
}

impl PolicyList {
    /// An unsigned list; the elements stand in the file in this order.
    pub const fn new(version: ListVersion, elements: Vec<Element>) -> Self {
        Self {
            version,
            elements,
            signature: None,
        }
    }

    /// The list with a signature, which is not verified here; refused when its kind is not one
    /// that a list of this version can carry.
    pub fn with_signature(self, signature: Signature) -> Result<Self, FormatError> {
        signature.check(self.version)?;
        Ok(Self {
            signature: Some(signature),
            ..self
        })
    }

    /// The list without its signature.
    #[must_use]
    pub fn without_signature(self) -> Self {
        Self {
            signature: None,
            ..self
        }
    }

    /// The version.
    pub const fn version(&self) -> ListVersion {
        self.version
    }

    /// The elements in the order of the file.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The signature, if there is one.
    pub const fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Reads a list file: one list and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let list = Self::read(&mut reader)?;
        reader.finish("the list")?;
        Ok(list)
    }

    /// Reads the list that a reader stands before.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.clone();
        let offset = reader.offset();
        let number = reader.u16("list version")?;
        let version = ListVersion::from_number(number).ok_or_else(|| {
            value(
                "list version",
                offset,
                "0x100, 0x200, 0x201 or 0x300",
                number,
            )
        })?;
        let kind_offset = reader.offset();
        let kind = match version {
            ListVersion::V1_0 => {
                reader.zeros("reserved", 1)?;
                u16::from(reader.u8("sig_alg")?)
            }
            ListVersion::V2_0 | ListVersion::V2_1 => reader.u16("sig_alg")?,
            ListVersion::V3_0 => reader.u16("KeySignatureOffset")?,
        };
        let size = reader.u32("policy_elements_size")?;
        let mut part = reader.part("the list's elements", size as usize)?;
        let mut elements = Vec::new();
        while !part.rest().is_empty() {
            elements.push(Element::read(&mut part)?);
        }
        let unsigned = Self::new(version, elements);
        match version {
            ListVersion::V1_0 if kind == u16::from(V1_UNSIGNED) => Ok(unsigned),
            ListVersion::V1_0 if kind != u16::from(V1_RSA) => Err(value(
                "sig_alg",
                kind_offset,
                "0 (none) or 1 (RSA PKCS#1 v1.5)",
                kind,
            )),
            ListVersion::V2_0 | ListVersion::V2_1 if kind == V2_UNSIGNED => Ok(unsigned),
            ListVersion::V3_0 if kind == 0 => Ok(unsigned),
            ListVersion::V3_0 => {
                // The offset points behind the revocation counter that follows the elements.
                let expected = reader
                    .offset()
                    .saturating_sub(start.offset())
                    .saturating_add(2);
                if usize::from(kind) != expected {
                    let expected = format!("0 (unsigned) or {expected:#x}");
                    return Err(value("KeySignatureOffset", kind_offset, expected, kind));
                }
                unsigned.with_signature(Signature::read_v3(reader)?)
            }
            _ => unsigned.with_signature(Signature::read_v2(reader, kind, kind_offset)?),
        }
    }

    /// The list's bytes, with its signature if it has one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = self.head()?;
        if let Some(signature) = &self.signature {
            signature.write_key(self.version, &mut out);
            signature.write_value(self.version, &mut out);
        }
        Ok(out)
    }

    /// The bytes that the signature covers; `None` for an unsigned list.
    ///
    /// Up to version 2.1 everything in front of the signature's own value, the key included; in
    /// version 3.0 header, elements and revocation counter.
    pub fn signed_bytes(&self) -> Result<Option<Vec<u8>>, FormatError> {
        let Some(signature) = &self.signature else {
            return Ok(None);
        };
        let mut out = self.head()?;
        if self.version == ListVersion::V3_0 {
            out.extend(signature.revocation_counter.to_le_bytes());
        } else {
            signature.write_key(self.version, &mut out);
        }
        Ok(Some(out))
    }

    /// The list's hash in a policy: of all of it when unsigned, of the key's numbers when signed.
    pub fn hash(&self, alg: HashAlg) -> Result<Digest, FormatError> {
        Ok(match &self.signature {
            None => alg.digest(&self.to_bytes()?),
            Some(signature) => alg.digest(&signature.key_bytes()),
        })
    }

    /// Header and elements.
    fn head(&self) -> Result<Vec<u8>, FormatError> {
        let mut elements = Vec::new();
        for element in &self.elements {
            elements.extend(element.to_bytes()?);
        }
        let mut out = self.version.number().to_le_bytes().to_vec();
        match (self.version, &self.signature) {
            (ListVersion::V1_0, None) => out.extend([0, V1_UNSIGNED]),
            (ListVersion::V1_0, Some(_)) => out.extend([0, V1_RSA]),
            (ListVersion::V2_0 | ListVersion::V2_1, None) => out.extend(V2_UNSIGNED.to_le_bytes()),
            (ListVersion::V2_0 | ListVersion::V2_1, Some(signature)) => {
                out.extend(signature.alg_number().to_le_bytes());
            }
            (ListVersion::V3_0, None) => out.extend([0, 0]),
            (ListVersion::V3_0, Some(_)) => {
                let offset = elements.len().saturating_add(HEADER_LEN).saturating_add(2);
                let offset = u16::try_from(offset).map_err(|_| {
                    FormatError::Parts(format!(
                        "the elements of a signed list of version 3.0 have {} bytes, but its signature must begin within 65535: split the list",
                        elements.len()
                    ))
                })?;
                out.extend(offset.to_le_bytes());
            }
        }
        out.extend(size32("the list's elements", elements.len())?.to_le_bytes());
        out.extend(elements);
        Ok(out)
    }
}
