//! The recovery key: a random passphrase that a person can read out and type anywhere.

use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::unlock::{find_records::TokenId, header::VolumeHeader, secret::SecretError};

/// Type of the token that marks a recovery key's keyslot.
pub const RECOVERY_TYPE: &str = "taoboot-recovery";

/// Letters that lie on the same keys in all common Latin keyboard layouts ("modhex").
const LETTERS: &[u8; 16] = b"cbdefghijklnrtuv";
const RANDOM_LEN: usize = 28;
const CHECKSUM_LEN: usize = 4;
const GROUP: usize = 8;

/// Not a recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Not 64 letters of the alphabet.
    #[error("a recovery key has 8 groups of 8 letters out of cbdefghijklnrtuv")]
    Syntax,
    /// The checksum does not match.
    #[error("the recovery key has a typing error (its checksum does not match)")]
    Checksum,
}

/// 224 random bits and a 32-bit checksum as 64 letters in groups of eight. Its text with the
/// hyphens is the LUKS passphrase.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecoveryKey(String);

impl RecoveryKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, SecretError> {
        let mut random = Zeroizing::new([0; RANDOM_LEN]);
        getrandom::fill(random.as_mut_slice()).map_err(SecretError::NoRandomness)?;
        Ok(Self::from_random(&random))
    }

    fn from_random(random: &[u8; RANDOM_LEN]) -> Self {
        let checksum = checksum(random);
        let bytes = random.iter().chain(checksum.iter());
        let mut text = String::with_capacity(2 * (RANDOM_LEN + CHECKSUM_LEN) + 8);
        for (index, byte) in bytes.enumerate() {
            if index > 0 && index % (GROUP / 2) == 0 {
                text.push('-');
            }
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(
                    LETTERS.get(usize::from(nibble)).copied().unwrap_or(b'c'),
                ));
            }
        }
        Self(text)
    }

    /// Reads what a person typed: case, spaces and hyphens do not matter.
    pub fn parse(typed: &str) -> Result<Self, RecoveryKeyError> {
        let mut nibbles = Zeroizing::new(Vec::with_capacity(64));
        for letter in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let letter = letter.to_ascii_lowercase();
            let nibble = LETTERS.iter().position(|l| char::from(*l) == letter);
            nibbles.push(nibble.ok_or(RecoveryKeyError::Syntax)? as u8);
            if nibbles.len() > 2 * (RANDOM_LEN + CHECKSUM_LEN) {
                return Err(RecoveryKeyError::Syntax);
            }
        }
        let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(
            nibbles
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |byte, n| byte << 4 | n))
                .collect(),
        );
        let (random, sum) = bytes
            .split_at_checked(RANDOM_LEN)
            .ok_or(RecoveryKeyError::Syntax)?;
        if sum.len() != CHECKSUM_LEN || !nibbles.len().is_multiple_of(2) {
            return Err(RecoveryKeyError::Syntax);
        }
        let mut array = Zeroizing::new([0; RANDOM_LEN]);
        array.copy_from_slice(random);
        if checksum(&array) != sum {
            return Err(RecoveryKeyError::Checksum);
        }
        Ok(Self::from_random(&array))
    }

    /// The text to print, and the LUKS passphrase.
    pub fn text(&self) -> &str {
        &self.0
    }
}

fn checksum(random: &[u8; RANDOM_LEN]) -> [u8; CHECKSUM_LEN] {
    let mut hash = Sha256::new();
    hash.update(b"taoboot recovery key v1");
    hash.update(random);
    let digest = hash.finalize();
    let mut sum = [0; CHECKSUM_LEN];
    sum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    sum
}

/// The token that marks `keyslot` as a recovery key's.
pub(crate) fn token(keyslot: u32) -> Value {
    json!({ "type": RECOVERY_TYPE, "keyslots": [keyslot.to_string()] })
}

/// Keyslots marked as recovery keys, with their tokens.
pub fn find_recovery_keys(header: &VolumeHeader) -> Vec<(TokenId, Vec<u32>)> {
    let tokens = header.metadata().tokens.iter();
    tokens
        .filter(|(_, token)| token.kind == RECOVERY_TYPE)
        .map(|(number, token)| (TokenId(*number), token.keyslots.clone()))
        .collect()
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_however_it_is_typed() {
        let key = RecoveryKey::generate().unwrap();
        assert_eq!(key.text().len(), 71);
        for typed in [
            key.text().to_owned(),
            key.text().to_uppercase(),
            key.text().replace('-', ""),
            key.text().replace('-', " "),
        ] {
            assert_eq!(RecoveryKey::parse(&typed).unwrap().text(), key.text());
        }
    }

    #[test]
    fn each_single_wrong_letter_is_noticed() {
        let key = RecoveryKey::from_random(&[0x5a; RANDOM_LEN]);
        let letters: Vec<char> = key.text().chars().collect();
        for at in (0..letters.len()).filter(|at| letters[*at] != '-') {
            let mut typed = letters.clone();
            typed[at] = if typed[at] == 'c' { 'b' } else { 'c' };
            let typed: String = typed.into_iter().collect();
            assert_eq!(
                RecoveryKey::parse(&typed).unwrap_err(),
                RecoveryKeyError::Checksum
            );
        }
    }

    #[test]
    fn too_short_too_long_and_foreign_letters_are_refused() {
        let key = RecoveryKey::from_random(&[1; RANDOM_LEN]);
        for typed in [
            "",
            "c",
            "hello",
            &key.text()[..60],
            &format!("{}cc", key.text()),
        ] {
            assert_eq!(
                RecoveryKey::parse(typed).unwrap_err(),
                RecoveryKeyError::Syntax
            );
        }
    }
}
