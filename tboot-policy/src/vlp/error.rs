//! Policies that are refused.

use txt::hash::HashAlg;

use super::entry::MAX_LEN;

/// Bytes or parts that are not a verified launch policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VlpError {
    /// The bytes end before the policy does.
    #[error(
        "the policy is cut off: {what} at offset {offset} needs {needed} bytes, {left} are left"
    )]
    Truncated {
        /// The part that is missing.
        what: &'static str,
        /// Where it begins, in bytes.
        offset: usize,
        /// Its length, in bytes.
        needed: usize,
        /// What there is, in bytes.
        left: usize,
    },
    /// A field holds a value that has no meaning.
    #[error("{field} at offset {offset} is {found}, expected {expected}")]
    Field {
        /// The field's name in tboot's source.
        field: &'static str,
        /// Where it is, in bytes.
        offset: usize,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: u8,
    },
    /// An algorithm that tboot's policy has no number for.
    #[error("a verified launch policy cannot use {0}: sha1, sha256, sha384 or sha512")]
    Alg(HashAlg),
    /// A digest of another algorithm than the policy's.
    #[error("entry {entry} holds a {found} digest in a {expected} policy")]
    DigestAlg {
        /// The entry's position, from 0.
        entry: usize,
        /// The policy's algorithm.
        expected: HashAlg,
        /// The digest's.
        found: HashAlg,
    },
    /// More bytes than tboot reads.
    #[error("the policy would have {0} bytes, tboot reads at most {MAX_LEN}: use fewer hashes")]
    TooLong(usize),
    /// More entries or hashes than their one-byte counters hold.
    #[error("{what} has {found} {of}, a policy holds at most 255")]
    TooMany {
        /// What has too many.
        what: &'static str,
        /// Of what.
        of: &'static str,
        /// How many.
        found: usize,
    },
    /// Bytes behind the policy in a file that should hold nothing else.
    #[error("{0} bytes follow the policy's last entry: the file is not a policy, or a damaged one")]
    Trailing(usize),
}
