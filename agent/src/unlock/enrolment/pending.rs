//! The note that a keyslot is being made, and what an interrupted run left behind.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::unlock::{
    find_records::TokenId,
    header::VolumeHeader,
    metadata::{Kdf, Keyslot, Metadata},
};

/// Type of the token that announces a keyslot.
pub const PENDING_TYPE: &str = "taoboot-pending";

/// What an unfinished run left in the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// The pending token.
    pub token: TokenId,
    /// The keyslot made for it; `None` when it had not been made yet.
    pub keyslot: Option<u32>,
}

/// The announcement of one keyslot.
///
/// The keyslot is recognised by number, kind and a random iteration count: a passphrase
/// that its owner put into the same free keyslot after an interrupted run is not taken for
/// ours and never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Pending {
    pub keyslot: u32,
    pub kdf: PendingKdf,
}

/// How the announced keyslot's key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PendingKdf {
    /// PBKDF2-SHA256 with this number of iterations.
    Pbkdf2(u32),
    /// Argon2id with this memory in KiB.
    Argon2id(u32),
}

impl Pending {
    pub fn to_token(self) -> Value {
        json!({ "type": PENDING_TYPE, "keyslots": [], "keyslot": self.keyslot, "kdf": self.kdf })
    }

    fn from_token(json: &Value) -> Option<Self> {
        Self::deserialize(json).ok()
    }

    /// Is the announced keyslot there, and ours?
    fn made(self, metadata: &Metadata) -> bool {
        let name = self.keyslot;
        let in_use = metadata
            .tokens
            .values()
            .any(|token| token.keyslots.contains(&name));
        let Some(Keyslot::Luks2(keyslot)) = metadata.keyslots.get(&self.keyslot) else {
            return false;
        };
        let ours = match (&keyslot.kdf, self.kdf) {
            (
                Kdf::Pbkdf2 {
                    hash, iterations, ..
                },
                PendingKdf::Pbkdf2(count),
            ) => hash == "sha256" && *iterations == count,
            (Kdf::Argon2id { memory, .. }, PendingKdf::Argon2id(kib)) => *memory == kib,
            _ => false,
        };
        ours && !in_use
    }
}

/// What interrupted runs left behind.
pub fn find_leftovers(header: &VolumeHeader) -> Vec<Leftover> {
    let metadata = header.metadata();
    let tokens = metadata.tokens.iter();
    tokens
        .filter(|(_, token)| token.kind == PENDING_TYPE)
        .map(|(number, token)| Leftover {
            token: TokenId(*number),
            keyslot: Pending::from_token(&token.json)
                .filter(|pending| pending.made(metadata))
                .map(|pending| pending.keyslot),
        })
        .collect()
}
