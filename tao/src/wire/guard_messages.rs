//! The messages by which administrators look at and change a host's guard, and at the
//! host. They are ours: the original had no such calls.

use prost::Message;

use super::proto2::Proto2;

/// Arguments of the guard calls.
#[derive(Clone, PartialEq, Message)]
pub struct GuardRequest {
    /// A rule or a query, as text.
    #[prost(string, optional, tag = "1")]
    pub text: Option<String>,
}

impl Proto2 for GuardRequest {
    const NAME: &'static str = "GuardRequest";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// A line of an explanation.
#[derive(Clone, PartialEq, Message)]
pub struct GuardStep {
    /// How far below the question.
    #[prost(uint32, required, tag = "1")]
    pub depth: u32,
    /// What holds or is missing.
    #[prost(string, required, tag = "2")]
    pub statement: String,
    /// Why.
    #[prost(string, required, tag = "3")]
    pub reason: String,
}

/// Result of the guard calls.
#[derive(Clone, PartialEq, Message)]
pub struct GuardResponse {
    /// The answer to a query.
    #[prost(bool, optional, tag = "1")]
    pub allowed: Option<bool>,
    /// Why.
    #[prost(message, repeated, tag = "2")]
    pub step: Vec<GuardStep>,
    /// The rules, as text.
    #[prost(string, repeated, tag = "3")]
    pub rule: Vec<String>,
    /// Binary form of the guard's part of the host's name.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub subprin: Option<Vec<u8>>,
}

impl Proto2 for GuardResponse {
    const NAME: &'static str = "GuardResponse";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// What a host says about itself.
#[derive(Clone, PartialEq, Message)]
pub struct HostDescription {
    /// Binary form of its name.
    #[prost(bytes = "vec", required, tag = "1")]
    pub prin: Vec<u8>,
    /// What makes an old copy of the counters worthless; none if nothing does.
    #[prost(string, optional, tag = "2")]
    pub anchor: Option<String>,
    /// How many programs run.
    #[prost(uint32, optional, tag = "3")]
    pub programs: Option<u32>,
    /// How programs are kept apart, one measure each.
    #[prost(string, repeated, tag = "4")]
    pub isolation: Vec<String>,
    /// What of that this machine cannot do.
    #[prost(string, repeated, tag = "5")]
    pub lacking: Vec<String>,
    /// How programs are started: words of the policy, as `libraries = "measure"`.
    #[prost(string, repeated, tag = "6")]
    pub policy: Vec<String>,
    /// What the boot says of itself, where a TPM holds it.
    #[prost(string, optional, tag = "12")]
    pub boot_event: Option<String>,
}

impl Proto2 for HostDescription {
    const NAME: &'static str = "HostDescription";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "prin")];
}
