//! The line of JSON that `tao-report` prints.

use serde::{Deserialize, Serialize};

/// What a hosted program found out about its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The program's principal name, as its host says it.
    pub name: String,
    /// How many random bytes the host gave when it was asked for 32.
    pub random_bytes: usize,
    /// A secret sealed and unsealed under each policy.
    pub seal: Seals,
    /// A statement, attested by the host.
    pub attestation: Attested,
    /// What became of the blob on the command line; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseal: Option<Unsealed>,
}

/// One round trip for each policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seals {
    /// To this program on this host.
    #[serde(rename = "self")]
    pub own: Sealed,
    /// To a few principals.
    pub few: Sealed,
    /// To anybody on this host.
    pub any: Sealed,
}

/// A secret sealed, and unsealed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The same secret came back, under the same policy.
    pub ok: bool,
    /// The sealed blob, hex.
    pub sealed: String,
}

/// The attestation and what its verification says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// The attestation, hex.
    pub hex: String,
    /// What a verifier finds.
    pub verdict: Verified,
}

/// What the program's own verifier says to the attestation: that it holds, and not yet whom to believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The signatures and delegations hold.
    pub verified: bool,
    /// Who says the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Whose word it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// How many delegations lie between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<usize>,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A blob that the program did not seal in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed {
    /// The host unsealed it.
    pub ok: bool,
    /// Under which policy it was sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// It holds the secret that `tao-report` seals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
    /// Why the host did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
