//! What is inside sealed bytes, and who gets it back.

use prost::Message;

use tao::{
    keys::{self, Crypter, OpenError, wipe},
    wire::{MAX_FRAME, buffers, data_field},
};

/// What is taken off the longest frame for everything around the data in an answer.
const OVERHEAD: usize = 64 * 1024;
/// Most bytes that can be sealed, or asked for.
pub(crate) const MAX_DATA: usize = MAX_FRAME - OVERHEAD;
/// Number of the data, which stand between the two halves of the contents.
const DATA: u32 = 3;

/// The contents of sealed bytes, in front of the data and behind them.
#[derive(Clone, PartialEq, Message)]
struct Contents {
    /// `self`, `few` or `any`.
    #[prost(string, required, tag = "1")]
    policy: String,
    /// Binary form of the program's part of its name; none for `any`. The original had the
    /// text here, which is the same for different names.
    #[prost(bytes = "vec", optional, tag = "2")]
    subprin: Option<Vec<u8>>,
    /// What the data are good for: only while the counter stands there.
    #[prost(message, optional, tag = "4")]
    counter: Option<CounterValue>,
}

/// A counter's name and value.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CounterValue {
    /// Binary form of the name of the program whose counter it is.
    #[prost(bytes = "vec", required, tag = "1")]
    pub program: Vec<u8>,
    /// Its label.
    #[prost(string, required, tag = "2")]
    pub label: String,
    /// Its value.
    #[prost(int64, required, tag = "3")]
    pub value: i64,
    /// Which table it belongs to.
    #[prost(fixed64, required, tag = "4")]
    pub era: u64,
}

/// Data that may be given back.
pub(crate) struct Unsealed<'a> {
    pub data: &'a [u8],
    pub policy: String,
    /// Only if this counter stands at this value.
    pub counter: Option<CounterValue>,
}

/// Why bytes are not sealed, or not given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// A policy that there is not.
    #[error("policy not supported for Seal: {0}")]
    Policy(String),
    /// Too much.
    #[error("data of more than {MAX_DATA} bytes cannot be sealed")]
    TooLong,
    /// What was sealed is not a message.
    #[error("sealed data: not made by Seal: not a message")]
    NoMessage,
    /// What was sealed is another message.
    #[error("sealed data: not made by Seal: {0}")]
    Contents(#[from] prost::DecodeError),
    /// For another program.
    #[error("principal not authorized for unseal")]
    Denied,
}

/// Is this a policy that data can be sealed under?
pub(crate) fn check(policy: &str, data: &[u8]) -> Result<(), SealError> {
    if !["self", "few", "any"].contains(&policy) {
        return Err(SealError::Policy(policy.to_owned()));
    }
    match data.len() {
        ..=MAX_DATA => Ok(()),
        _ => Err(SealError::TooLong),
    }
}

/// What is about to be sealed.
pub(crate) struct Sealing<'a> {
    front: Contents,
    data: &'a [u8],
    back: Vec<u8>,
}

impl<'a> Sealing<'a> {
    /// For the program with that binary form of its part of the name, under a policy and
    /// perhaps a counter.
    pub(crate) fn new(
        caller: &[u8],
        policy: String,
        data: &'a [u8],
        counter: Option<CounterValue>,
    ) -> Result<Self, SealError> {
        check(&policy, data)?;
        let mut back = Vec::new();
        if let Some(counter) = counter {
            let counter = counter.encode_to_vec();
            data_field::begin(&mut back, 4, counter.len());
            back.extend_from_slice(&counter);
        }
        let subprin = (policy != "any").then(|| caller.to_vec());
        let front = Contents {
            policy,
            subprin,
            counter: None,
        };
        Ok(Sealing { front, data, back })
    }

    fn plain_length(&self) -> usize {
        let data = data_field::length(DATA, self.data.len());
        let front = self.front.encoded_len();
        front.saturating_add(data).saturating_add(self.back.len())
    }

    /// How many bytes the sealed data will be.
    pub(crate) fn length(&self) -> usize {
        Crypter::sealed_length(self.plain_length())
    }

    /// Appends the sealed data.
    pub(crate) fn seal(&self, crypter: &Crypter, out: &mut Vec<u8>) -> Result<(), keys::SealError> {
        crypter.seal_into(out, self.plain_length(), |out| {
            self.front.encode_raw(out);
            data_field::begin(out, DATA, self.data.len());
            out.extend_from_slice(self.data);
            out.extend_from_slice(&self.back);
        })
    }
}

/// Opens sealed bytes if the policy lets `caller`, in its binary form, have them, for `use_it`
/// only.
pub(crate) fn unseal<T, E: From<SealError> + From<OpenError>>(
    crypter: &Crypter,
    caller: &[u8],
    sealed: &[u8],
    use_it: impl FnOnce(Unsealed<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let mut plain = buffers::take();
    let result = match crypter.open_into(&mut plain, sealed) {
        Ok(()) => opened(caller, &plain).map_err(E::from).and_then(use_it),
        Err(error) => Err(error.into()),
    };
    wipe(&mut plain);
    buffers::give(plain);
    result
}

fn opened<'a>(caller: &[u8], plain: &'a [u8]) -> Result<Unsealed<'a>, SealError> {
    let (data, rest) = data_field::split(plain, DATA).ok_or(SealError::NoMessage)?;
    let contents = Contents::decode(rest.as_slice())?;
    let allowed = match contents.policy.as_str() {
        // Binary forms are equal exactly if the names are.
        "self" | "few" => contents.subprin.as_deref() == Some(caller),
        "any" => true,
        _ => false,
    };
    if !allowed {
        return Err(SealError::Denied);
    }
    Ok(Unsealed {
        // A field without bytes may be left out.
        data: data.unwrap_or(&[]),
        policy: contents.policy,
        counter: contents.counter,
    })
}
