//! The messages by which administrators see how many counters programs have, and delete them.
//! They are ours: the original had no such calls.

use prost::Message;

use super::proto2::Proto2;

/// Arguments of the calls about counters.
#[derive(Clone, PartialEq, Message)]
pub struct CountersRequest {
    /// Whose: SHA-256 of the binary form of the name that a program was started under.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub program: Option<Vec<u8>>,
}

impl Proto2 for CountersRequest {
    const NAME: &'static str = "CountersRequest";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// What one program has, under all its names.
#[derive(Clone, PartialEq, Message)]
pub struct CountersOf {
    /// SHA-256 of the binary form of the name that it was started under.
    #[prost(bytes = "vec", required, tag = "1")]
    pub program: Vec<u8>,
    /// That name as text; its beginning if it is long.
    #[prost(string, required, tag = "2")]
    pub name: String,
    /// How many.
    #[prost(uint64, required, tag = "3")]
    pub counters: u64,
    /// How many bytes they take.
    #[prost(uint64, required, tag = "4")]
    pub bytes: u64,
}

/// Result of the calls about counters.
#[derive(Clone, PartialEq, Message)]
pub struct CountersResponse {
    /// List: what each program has.
    #[prost(message, repeated, tag = "1")]
    pub programs: Vec<CountersOf>,
    /// Delete: how many there were.
    #[prost(uint64, optional, tag = "2")]
    pub deleted: Option<u64>,
}

impl Proto2 for CountersResponse {
    const NAME: &'static str = "CountersResponse";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] = &[(
        1,
        &[
            (1, "programs.program"),
            (2, "programs.name"),
            (3, "programs.counters"),
            (4, "programs.bytes"),
        ],
    )];
}
