//! The hash algorithms that launch control policies name: TPM numbers, mask bits, lengths, digests.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use sm3::Sm3;

/// A hash algorithm of the policy formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlg {
    /// TPM_ALG_SHA1 (0x0004), 20 bytes.
    Sha1,
    /// TPM_ALG_SHA256 (0x000b), 32 bytes.
    Sha256,
    /// TPM_ALG_SHA384 (0x000c), 48 bytes.
    Sha384,
    /// TPM_ALG_SHA512 (0x000d), 64 bytes.
    Sha512,
    /// TPM_ALG_SM3_256 (0x0012), 32 bytes.
    Sm3,
}

/// Something that does not name a hash algorithm, or a digest of the wrong length for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// A name that is none of ours.
    #[error("{0:?} is not a hash algorithm: sha1, sha256, sha384, sha512 or sm3")]
    Name(String),
    /// A TPM_ALG number that is none of ours.
    #[error(
        "hash algorithm {0:#06x} is unknown: 0x0004 (sha1), 0x000b (sha256), 0x000c (sha384), 0x000d (sha512) or 0x0012 (sm3)"
    )]
    Number(u16),
    /// A digest whose length is not the algorithm's.
    #[error("a {alg} digest has {expected} bytes, found {found}", expected = alg.digest_len())]
    Length {
        /// The algorithm that was expected.
        alg: HashAlg,
        /// The length that was found, in bytes.
        found: usize,
    },
    /// A digest that is not hexadecimal.
    #[error("{0:?} is not a digest in hexadecimal")]
    Hex(String),
}

impl HashAlg {
    /// Every algorithm, in the order of the TPM numbers.
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sm3,
    ];

    /// The TPM_ALG_ID of TPM 2.0 part 2 (LCP_POLICY2 and its elements store it little-endian).
    pub const fn tpm_alg(self) -> u16 {
        match self {
            Self::Sha1 => 0x0004,
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
            Self::Sha512 => 0x000d,
            Self::Sm3 => 0x0012,
        }
    }

    /// The algorithm of a TPM_ALG_ID.
    pub fn from_tpm_alg(number: u16) -> Result<Self, HashError> {
        Self::ALL
            .into_iter()
            .find(|alg| alg.tpm_alg() == number)
            .ok_or(HashError::Number(number))
    }

    /// The bit of LCP_POLICY2's LcpHashAlgMask and AuxHashAlgMask.
    pub const fn mask(self) -> u16 {
        match self {
            Self::Sha1 => 0x0001,
            Self::Sha256 => 0x0008,
            Self::Sha384 => 0x0040,
            Self::Sha512 => 0x0080,
            Self::Sm3 => 0x0020,
        }
    }

    /// Length of a digest in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sm3 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name on command lines and in spec files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sm3 => "sm3",
        }
    }

    /// Hash of some bytes.
    pub fn digest(self, data: &[u8]) -> Digest {
        self.digest_parts(&[data])
    }

    /// Hash of several pieces as if they stood back to back.
    pub fn digest_parts(self, parts: &[&[u8]]) -> Digest {
        fn run<D: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hasher = D::new();
            for part in parts {
                hasher.update(part);
            }
            hasher.finalize().to_vec()
        }
        let bytes = match self {
            Self::Sha1 => run::<Sha1>(parts),
            Self::Sha256 => run::<Sha256>(parts),
            Self::Sha384 => run::<Sha384>(parts),
            Self::Sha512 => run::<Sha512>(parts),
            Self::Sm3 => run::<Sm3>(parts),
        };
        Digest { alg: self, bytes }
    }

    /// Hash of what a reader yields up to its end, without ever holding it all.
    ///
    /// # Errors
    /// The reader's.
    pub fn digest_reader(self, reader: impl Read) -> io::Result<Digest> {
        fn run<D: sha2::Digest>(mut reader: impl Read) -> io::Result<Vec<u8>> {
            let mut hasher = D::new();
            let mut buffer = vec![0; 128 << 10];
            loop {
                let read = match reader.read(&mut buffer) {
                    Ok(0) => return Ok(hasher.finalize().to_vec()),
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                let Some(chunk) = buffer.get(..read) else {
                    let wrong = "a reader says that it read more than there was room for";
                    return Err(io::Error::other(wrong));
                };
                hasher.update(chunk);
            }
        }
        let bytes = match self {
            Self::Sha1 => run::<Sha1>(reader),
            Self::Sha256 => run::<Sha256>(reader),
            Self::Sha384 => run::<Sha384>(reader),
            Self::Sha512 => run::<Sha512>(reader),
            Self::Sm3 => run::<Sm3>(reader),
        };
        Ok(Digest {
            alg: self,
            bytes: bytes?,
        })
    }
}

impl fmt::Display for HashAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlg {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|alg| alg.name() == text)
            .ok_or_else(|| HashError::Name(text.to_owned()))
    }
}

/// A digest: always as long as its algorithm says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    alg: HashAlg,
    bytes: Vec<u8>,
}

impl Digest {
    /// A digest from its bytes; refused when the length is not the algorithm's.
    pub fn new(alg: HashAlg, bytes: &[u8]) -> Result<Self, HashError> {
        if bytes.len() != alg.digest_len() {
            return Err(HashError::Length {
                alg,
                found: bytes.len(),
            });
        }
        Ok(Self {
            alg,
            bytes: bytes.to_vec(),
        })
    }

    /// All zeros: what a policy of type "any" holds, and a PCR after reset.
    pub fn zero(alg: HashAlg) -> Self {
        Self {
            alg,
            bytes: vec![0; alg.digest_len()],
        }
    }

    /// A digest from hexadecimal text without separators.
    pub fn from_hex(alg: HashAlg, text: &str) -> Result<Self, HashError> {
        let bytes = hex::decode(text).map_err(|_| HashError::Hex(text.to_owned()))?;
        Self::new(alg, &bytes)
    }

    /// The algorithm.
    pub const fn alg(&self) -> HashAlg {
        self.alg
    }

    /// The bytes, as many as the algorithm says.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Is every byte zero? No real object has such a digest.
    pub fn is_zero(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }
}

/// Lower-case hexadecimal without separators.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Published values: FIPS 180-4 examples and GB/T 32905 example 1, message "abc".
    #[test]
    fn a_reader_has_the_hash_of_its_bytes() {
        let data: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        for alg in HashAlg::ALL {
            assert_eq!(
                alg.digest_reader(data.as_slice()).unwrap(),
                alg.digest(&data)
            );
        }
    }

    #[test]
    fn digests_of_abc_are_the_published_ones() {
        for (alg, expected) in [
            (HashAlg::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                HashAlg::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                HashAlg::Sm3,
                "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
            ),
        ] {
            assert_eq!(alg.digest(b"abc").to_string(), expected);
        }
        assert!(
            HashAlg::Sha384
                .digest(b"abc")
                .to_string()
                .starts_with("cb00753f45a35e8b")
        );
        assert!(
            HashAlg::Sha512
                .digest(b"abc")
                .to_string()
                .starts_with("ddaf35a193617aba")
        );
    }

    #[test]
    fn every_algorithm_is_found_by_name_and_number() {
        for alg in HashAlg::ALL {
            assert_eq!(alg.name().parse(), Ok(alg));
            assert_eq!(HashAlg::from_tpm_alg(alg.tpm_alg()), Ok(alg));
            assert_eq!(alg.digest(b"").as_bytes().len(), alg.digest_len());
        }
        assert!(HashAlg::from_tpm_alg(0x10).is_err());
        assert!("md5".parse::<HashAlg>().is_err());
    }

    #[test]
    fn parts_hash_like_their_concatenation() {
        for alg in HashAlg::ALL {
            assert_eq!(alg.digest_parts(&[b"a", b"", b"bc"]), alg.digest(b"abc"));
        }
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_refused() {
        assert_eq!(
            Digest::new(HashAlg::Sha256, &[0; 20]),
            Err(HashError::Length {
                alg: HashAlg::Sha256,
                found: 20
            })
        );
        assert!(Digest::from_hex(HashAlg::Sha1, "zz").is_err());
    }
}
