//! What is inside sealed bytes, and who gets it back.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    keys::Crypter,
    logic::SubPrin,
    wire::{MAX_FRAME, messages::TaoResponse},
};

/// What is taken off the longest frame for everything around the data in an answer.
const OVERHEAD: usize = 64 * 1024;
/// Most bytes that can be sealed, or asked for.
pub(super) const MAX_DATA: usize = MAX_FRAME - OVERHEAD;

/// The contents of sealed bytes.
#[derive(Clone, PartialEq, Message)]
struct SealedBundle {
    /// `self`, `few` or `any`.
    #[prost(string, required, tag = "1")]
    policy: String,
    /// Binary form of the program's part of its name; none for `any`. The original had the
    /// text here, which is the same for different names.
    #[prost(bytes = "vec", optional, tag = "2")]
    subprin: Option<Vec<u8>>,
    /// The data.
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
    /// What the data are good for: only while the counter stands there.
    #[prost(message, optional, tag = "4")]
    counter: Option<CounterValue>,
}

/// A counter's name and value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CounterValue {
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
pub(super) struct Unsealed {
    pub data: Zeroizing<Vec<u8>>,
    pub policy: String,
    /// Only if this counter stands at this value.
    pub counter: Option<CounterValue>,
}

impl Unsealed {
    pub(super) fn into_response(mut self) -> TaoResponse {
        TaoResponse {
            data: Some(std::mem::take(&mut *self.data)),
            policy: Some(self.policy),
            counter: None,
        }
    }
}

/// Is this a policy that data can be sealed under?
pub(super) fn check(policy: &str, data: &[u8]) -> Result<(), String> {
    if !["self", "few", "any"].contains(&policy) {
        return Err(format!("policy not supported for Seal: {policy}"));
    }
    if data.len() > MAX_DATA {
        return Err(format!(
            "data of more than {MAX_DATA} bytes can't be sealed"
        ));
    }
    Ok(())
}

/// Seals for `caller`, under a policy and perhaps a counter.
pub(super) fn seal(
    crypter: &Crypter,
    caller: &SubPrin,
    policy: String,
    data: Vec<u8>,
    counter: Option<CounterValue>,
) -> Result<Vec<u8>, String> {
    let data = Zeroizing::new(data);
    check(&policy, &data)?;
    let subprin = (policy != "any").then(|| caller.encode());
    let mut bundle = SealedBundle {
        policy,
        subprin,
        data: data.to_vec(),
        counter,
    };
    let sealed = crypter.seal_with(bundle.encoded_len(), |out| bundle.encode_raw(out));
    bundle.data.zeroize();
    sealed.map_err(|error| error.to_string())
}

/// Opens sealed bytes if the policy lets `caller` have them.
pub(super) fn unseal(
    crypter: &Crypter,
    caller: &SubPrin,
    sealed: &[u8],
) -> Result<Unsealed, String> {
    let plain = crypter.open(sealed).map_err(|error| error.to_string())?;
    let bundle = SealedBundle::decode(plain.as_slice())
        .map_err(|error| format!("sealed data: not made by Seal: {error}"))?;
    let unsealed = Unsealed {
        data: Zeroizing::new(bundle.data),
        policy: bundle.policy,
        counter: bundle.counter,
    };
    let allowed = match unsealed.policy.as_str() {
        // Binary forms are equal exactly if the names are.
        "self" | "few" => bundle.subprin == Some(caller.encode()),
        "any" => true,
        _ => false,
    };
    if !allowed {
        return Err("principal not authorized for unseal".to_owned());
    }
    Ok(unsealed)
}
