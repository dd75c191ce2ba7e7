//! Reading and writing the bytes of a verified launch policy.

use tpm::pcr::PcrIndex;
use txt::hash::{Digest, HashAlg};

use super::{
    entry::{Check, Entry, MAX_LEN, ModuleNumber, Object, PolicyType},
    error::VlpError,
    policy::Policy,
};

/// `version` of the only format there is.
const VERSION: u8 = 2;
/// `mod_num` for any module, NV hashed and NV raw.
const ANY_MODULE: u8 = 129;
const NV_HASHED: u8 = 130;
const NV_RAW: u8 = 131;
/// `pcr` of an entry that is not extended.
const PCR_NONE: u8 = 255;
/// Lengths of the fixed parts, in bytes.
const HEADER_LEN: usize = 12;
const ENTRY_LEN: usize = 8;

impl Policy {
    /// Reads a policy that may be followed by other bytes, as in an NV index that is longer than
    /// the policy. Returns it with its length in bytes.
    pub fn parse_prefix(bytes: &[u8]) -> Result<(Self, usize), VlpError> {
        let mut reader = Reader { rest: bytes, at: 0 };
        let policy = reader.policy()?;
        if reader.at > MAX_LEN {
            return Err(VlpError::TooLong(reader.at));
        }
        Ok((policy, reader.at))
    }

    /// Reads a policy file: nothing may follow the policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, VlpError> {
        let (policy, len) = Self::parse_prefix(bytes)?;
        match bytes.len().saturating_sub(len) {
            0 => Ok(policy),
            trailing => Err(VlpError::Trailing(trailing)),
        }
    }

    /// The policy's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, type_number(self.policy_type), alg_number(self.alg)];
        out.extend(self.control.to_le_bytes());
        out.extend(self.reserved.to_le_bytes());
        out.push(counted(&self.entries));
        for entry in &self.entries {
            let (number, check) = (object_number(entry.object), entry.check as u8);
            out.extend([number, entry.pcr.map_or(PCR_NONE, PcrIndex::get), check]);
            out.extend(entry.nv_index.to_le_bytes());
            out.push(counted(&entry.hashes));
            for digest in &entry.hashes {
                out.extend_from_slice(digest.as_bytes());
            }
        }
        out
    }

    /// What the constructor guarantees: known algorithm, digests of it, countable, short enough.
    pub(super) fn check(&self) -> Result<(), VlpError> {
        if self.alg == HashAlg::Sm3 {
            return Err(VlpError::Alg(self.alg));
        }
        let found = self.entries.len();
        if found > 255 {
            return Err(VlpError::TooMany {
                what: "the policy",
                of: "entries",
                found,
            });
        }
        let mut len = HEADER_LEN;
        for (position, entry) in self.entries.iter().enumerate() {
            let found = entry.hashes.len();
            if found > 255 {
                return Err(VlpError::TooMany {
                    what: "an entry",
                    of: "hashes",
                    found,
                });
            }
            if let Some(digest) = entry.hashes.iter().find(|digest| digest.alg() != self.alg) {
                let (expected, found) = (self.alg, digest.alg());
                return Err(VlpError::DigestAlg {
                    entry: position,
                    expected,
                    found,
                });
            }
            len = found
                .saturating_mul(self.alg.digest_len())
                .saturating_add(ENTRY_LEN)
                .saturating_add(len);
        }
        if len > MAX_LEN {
            Err(VlpError::TooLong(len))
        } else {
            Ok(())
        }
    }
}

/// A length that `check` keeps below 256, as the byte that holds it.
fn counted<T>(items: &[T]) -> u8 {
    u8::try_from(items.len()).unwrap_or(u8::MAX)
}

const fn type_number(policy_type: PolicyType) -> u8 {
    match policy_type {
        PolicyType::NonFatal => 0,
        PolicyType::Continue => 1,
        PolicyType::Halt => 2,
    }
}

/// The low byte of the TPM_ALG number.
const fn alg_number(alg: HashAlg) -> u8 {
    alg.tpm_alg().to_le_bytes()[0]
}

const fn object_number(object: Object) -> u8 {
    match object {
        Object::Module(number) => number.get(),
        Object::AnyModule => ANY_MODULE,
        Object::NvHashed => NV_HASHED,
        Object::NvRaw => NV_RAW,
    }
}

/// Takes bytes off the front; every step is checked against what is left.
struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, what: &'static str, needed: usize) -> Result<&'a [u8], VlpError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(needed)
            .ok_or(VlpError::Truncated {
                what,
                offset: self.at,
                needed,
                left: self.rest.len(),
            })?;
        self.rest = rest;
        self.at = self.at.saturating_add(needed);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], VlpError> {
        let (offset, left) = (self.at, self.rest.len());
        let taken = self.take(what, N)?;
        taken.first_chunk().copied().ok_or(VlpError::Truncated {
            what,
            offset,
            needed: N,
            left,
        })
    }

    /// One byte, and the error that it is none of the expected values.
    fn byte(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<(u8, VlpError), VlpError> {
        let offset = self.at;
        let [found] = self.array(field)?;
        Ok((
            found,
            VlpError::Field {
                field,
                offset,
                expected,
                found,
            },
        ))
    }

    fn policy(&mut self) -> Result<Policy, VlpError> {
        let (version, error) = self.byte("version", "2")?;
        if version != VERSION {
            return Err(error);
        }
        let (number, error) = self.byte("policy_type", "0 (nonfatal), 1 (continue) or 2 (halt)")?;
        let policy_type = match number {
            0 => PolicyType::NonFatal,
            1 => PolicyType::Continue,
            2 => PolicyType::Halt,
            _ => return Err(error),
        };
        let (number, error) = self.byte(
            "hash_alg",
            "4 (sha1), 11 (sha256), 12 (sha384) or 13 (sha512)",
        )?;
        let alg = HashAlg::from_tpm_alg(number.into())
            .ok()
            .filter(|alg| *alg != HashAlg::Sm3)
            .ok_or(error)?;
        let control = u32::from_le_bytes(self.array("policy_control")?);
        let reserved = u32::from_le_bytes(self.array("reserved")?);
        let [count] = self.array("num_entries")?;
        let entries = (0..count)
            .map(|_| self.entry(alg))
            .collect::<Result<_, _>>()?;
        Ok(Policy {
            policy_type,
            alg,
            control,
            reserved,
            entries,
        })
    }

    fn entry(&mut self, alg: HashAlg) -> Result<Entry, VlpError> {
        let (number, error) =
            self.byte("mod_num", "0 to 127, 129 (any), 130 (NV) or 131 (NV raw)")?;
        let object = match (ModuleNumber::new(number), number) {
            (Some(module), _) => Object::Module(module),
            (None, ANY_MODULE) => Object::AnyModule,
            (None, NV_HASHED) => Object::NvHashed,
            (None, NV_RAW) => Object::NvRaw,
            _ => return Err(error),
        };
        let (number, error) = self.byte("pcr", "0 to 23, or 255 (none)")?;
        let pcr = match number {
            PCR_NONE => None,
            _ => Some(PcrIndex::try_from(number).map_err(|_| error)?),
        };
        let (number, error) = self.byte("hash_type", "0 (any) or 1 (image)")?;
        let check = match number {
            0 => Check::Any,
            1 => Check::Image,
            _ => return Err(error),
        };
        let nv_index = u32::from_le_bytes(self.array("nv_index")?);
        let [count] = self.array("num_hashes")?;
        let mut hashes = Vec::new();
        for _ in 0..count {
            let bytes = self.take("hash", alg.digest_len())?;
            // The reader took exactly the algorithm's length, so this cannot fail.
            hashes.extend(Digest::new(alg, bytes).ok());
        }
        Ok(Entry {
            object,
            pcr,
            check,
            nv_index,
            hashes,
        })
    }
}
