//! What a record is made of.

use std::collections::BTreeMap;

use tpm::{AuthPolicy, PcrIndex, Sealed};

use crate::unlock::{escrow::Escrow, identity::VolumeIdentity, pin::PinSalt, swap::SwapSpec};

/// Type of the LUKS2 token.
pub const TOKEN_TYPE: &str = "taoboot";

/// What a new record is made of.
#[derive(Clone, Debug)]
pub struct RecordParts {
    /// The keyslot that the derived passphrase opens.
    pub keyslot: u32,
    /// The volume it belongs to.
    pub volume: VolumeIdentity,
    /// What the secret is sealed to: one launch, the latch's zeros included, or a policy key.
    pub policy: AuthPolicy,
    /// The sealed boot secret.
    pub sealed: Sealed,
    /// A note for people, such as the kernel's version.
    pub label: String,
    /// The partition that becomes swap under a random key.
    pub swap: Option<SwapSpec>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
    /// The volume secret under the volume's key: with a passphrase the same secret can be sealed
    /// again.
    pub escrow: Option<Escrow>,
    /// The secret is sealed with a PIN, too.
    pub pin: Option<PinSalt>,
}
