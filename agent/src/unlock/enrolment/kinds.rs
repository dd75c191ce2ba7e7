//! Whose each keyslot is: a person's, ours, or another program's. Told by the tokens that name it, which
//! anybody may have written: what two kinds of tokens name is nobody's for certain.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::Serialize;

use super::{
    pending::{PENDING_TYPE, find_leftovers},
    recovery_key::RECOVERY_TYPE,
    wipe::is_ours,
};
use crate::unlock::{
    find_records::TokenId,
    further::FURTHER_TYPE,
    header::VolumeHeader,
    metadata::{Keyslot, Metadata},
    record::{APPROVAL_TYPE, TOKEN_TYPE},
};

/// A kind of keyslot or token, named as systemd-cryptenroll(1) names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A keyslot that no token names.
    Password,
    /// A recovery key of `taoboot enroll`.
    Recovery,
    /// A keyslot of sealed records, and those records.
    Record,
    /// The keyslot of a further volume, which another volume's secret opens.
    Further,
    /// A TPM without a measured launch, by systemd-cryptenroll.
    SystemdTpm2,
    /// A FIDO2 key, by systemd-cryptenroll.
    SystemdFido2,
    /// A smart card, by systemd-cryptenroll.
    SystemdPkcs11,
    /// A recovery key of systemd-cryptenroll.
    SystemdRecovery,
    /// Whatever clevis asks.
    Clevis,
    /// What an interrupted enrolment of ours left behind.
    Leftover,
    /// Its key opens nothing of this volume.
    Unbound,
    /// Somebody else's, or two kinds of tokens name it.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Password,
        Self::Recovery,
        Self::Record,
        Self::Further,
        Self::SystemdTpm2,
        Self::SystemdFido2,
        Self::SystemdPkcs11,
        Self::SystemdRecovery,
        Self::Clevis,
        Self::Leftover,
        Self::Unbound,
        Self::Other,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Recovery => "recovery",
            Self::Record => "record",
            Self::Further => "further",
            Self::SystemdTpm2 => "systemd-tpm2",
            Self::SystemdFido2 => "systemd-fido2",
            Self::SystemdPkcs11 => "systemd-pkcs11",
            Self::SystemdRecovery => "systemd-recovery",
            Self::Clevis => "clevis",
            Self::Leftover => "leftover",
            Self::Unbound => "unbound",
            Self::Other => "other",
        }
    }

    /// Can a person open the volume with it, without the machine?
    pub const fn is_a_persons(self) -> bool {
        matches!(
            self,
            Self::Password | Self::Recovery | Self::SystemdRecovery
        )
    }

    /// Could it be a person's keyslot all the same? The token of another program may have been put on it by
    /// somebody else; ours make no keyslot of a person ours.
    pub(super) const fn may_be_a_persons(self) -> bool {
        !matches!(
            self,
            Self::Record | Self::Further | Self::Leftover | Self::Unbound
        )
    }

    /// The kind of a token, by its type.
    pub(super) fn of_token(text: &str) -> Self {
        match text {
            TOKEN_TYPE | APPROVAL_TYPE => Self::Record,
            FURTHER_TYPE => Self::Further,
            RECOVERY_TYPE => Self::Recovery,
            PENDING_TYPE => Self::Leftover,
            "systemd-tpm2" => Self::SystemdTpm2,
            "systemd-fido2" => Self::SystemdFido2,
            "systemd-pkcs11" => Self::SystemdPkcs11,
            "systemd-recovery" => Self::SystemdRecovery,
            "clevis" => Self::Clevis,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No kind has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of keyslot: {names}", names = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownKind(text.chars().take(40).collect()))
    }
}

/// A keyslot, or a token that names none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The keyslot's number.
    pub keyslot: Option<u32>,
    /// Whose it is.
    pub kind: Kind,
    /// The tokens that name it.
    pub tokens: Vec<TokenId>,
    /// Is it marked to be used only when it is asked for by number?
    pub ignored: bool,
}

/// Everything that is enrolled: keyslots in their order, then tokens without one.
pub fn holdings(header: &VolumeHeader) -> Vec<Holding> {
    let metadata = header.metadata();
    let leftovers: BTreeSet<u32> = find_leftovers(header)
        .into_iter()
        .filter_map(|leftover| leftover.keyslot)
        .collect();
    let slots = metadata.keyslots.iter().map(|(number, slot)| Holding {
        keyslot: Some(*number),
        kind: kind_of(metadata, *number, slot, &leftovers),
        tokens: naming(metadata, *number),
        ignored: matches!(slot, Keyslot::Luks2(slot) if slot.priority == Some(0)),
    });
    let tokens = metadata.tokens.iter();
    let alone = tokens
        .filter(|(_, token)| {
            let mut named = token.keyslots.iter();
            !named.any(|slot| metadata.keyslots.contains_key(slot))
        })
        .map(|(id, token)| Holding {
            keyslot: None,
            kind: Kind::of_token(&token.kind),
            tokens: vec![TokenId(*id)],
            ignored: false,
        });
    slots.chain(alone).collect()
}

fn naming(metadata: &Metadata, keyslot: u32) -> Vec<TokenId> {
    let tokens = metadata.tokens.iter();
    tokens
        .filter(|(_, token)| token.keyslots.contains(&keyslot))
        .map(|(id, _)| TokenId(*id))
        .collect()
}

fn kind_of(metadata: &Metadata, number: u32, slot: &Keyslot, leftovers: &BTreeSet<u32>) -> Kind {
    if matches!(slot, Keyslot::Other(_)) {
        return Kind::Other;
    }
    let name = number.to_string();
    let mut digests = metadata.digests.values();
    if !digests.any(|digest| !digest.segments.is_empty() && digest.keyslots.contains(&name)) {
        return Kind::Unbound;
    }
    if leftovers.contains(&number) {
        return Kind::Leftover;
    }
    let tokens = metadata.tokens.values();
    let mut kinds: BTreeSet<Kind> = tokens
        .filter(|token| token.keyslots.contains(&number))
        .map(|token| Kind::of_token(&token.kind))
        .collect();
    // A person's keyslot is none of ours, whatever a token says.
    if !is_ours(metadata, number) {
        kinds.retain(|kind| ![Kind::Record, Kind::Further].contains(kind));
    }
    let mut kinds = kinds.into_iter();
    match (kinds.next(), kinds.next()) {
        (None, _) => Kind::Password,
        (Some(kind), None) => kind,
        (Some(_), Some(_)) => Kind::Other,
    }
}
