//! A call, and what comes of it.

use tao::{
    keys::SecretBytes,
    wire::messages::{RequestHeader, TaoRequest, TaoResponse},
};

use crate::counters::table::{Key, Owner, Target};

/// Which counter, whom it counts against, and what it is to become.
#[derive(Clone)]
pub(crate) struct CounterChange {
    pub key: Key,
    pub owner: Owner,
    pub to: Target,
}

/// What is left to do once the counter is stored.
pub(crate) enum Finish {
    /// To say so.
    Told,
    /// To seal data for the program with that binary form of its part of its name.
    Seal {
        program: Vec<u8>,
        policy: String,
        data: SecretBytes,
    },
}

/// A call: what is asked, and its data where they were received.
pub(crate) struct Call<'a> {
    pub header: &'a RequestHeader,
    /// Without its data.
    pub request: TaoRequest,
    pub data: &'a [u8],
    /// Where answers go.
    pub out: &'a mut Vec<u8>,
}

/// An answer, or what it waits for.
pub(crate) enum Outcome {
    Now(TaoResponse),
    /// The answer has been appended to the others.
    Written,
    /// What is to be stored, and what follows.
    Later(CounterChange, Finish),
}

impl From<TaoResponse> for Outcome {
    fn from(response: TaoResponse) -> Self {
        Self::Now(response)
    }
}

/// An answer that is bytes.
pub(crate) fn data(data: Vec<u8>) -> TaoResponse {
    TaoResponse {
        data: Some(data),
        ..TaoResponse::default()
    }
}
