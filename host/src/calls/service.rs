//! The calls of the Tao: what a hosted program asks, and what the host answers.
//!
//! Error texts are those of the original where it has them: programs compare them.

use std::sync::Arc;

use prost::Message;

use crate::{
    authority::identity::Identity,
    calls::{
        caller::Caller,
        methods::{delete_counter, extend, init_counter, random_bytes, rollback_seal},
        sealing::{CounterValue, Sealing},
    },
    counters::{
        store::CounterStore,
        table::{Key, Owner, Stored, Target},
    },
};
use tao::{
    keys::{SecretBytes, wipe_vec},
    logic::Prin,
    wire::{
        data_field,
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc,
    },
};

/// Answers the calls of hosted programs.
pub struct TaoService {
    pub(crate) identity: Arc<Identity>,
    pub(crate) counters: Arc<CounterStore>,
}

/// A call whose answer waits for a counter to be stored.
pub(crate) struct Deferred {
    header: RequestHeader,
    pub change: CounterChange,
    finish: Finish,
}

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
        Outcome::Now(response)
    }
}

pub(crate) fn data(data: Vec<u8>) -> TaoResponse {
    TaoResponse {
        data: Some(data),
        ..TaoResponse::default()
    }
}

impl TaoService {
    /// A service that speaks for `identity`.
    pub(crate) fn new(identity: Arc<Identity>, counters: Arc<CounterStore>) -> Self {
        TaoService { identity, counters }
    }

    /// The host's name.
    pub fn host_name(&self) -> &Prin {
        self.identity.name()
    }

    /// Appends the answer to one call to `out`, or says what it waits for.
    pub(crate) fn answer(
        &self,
        caller: &Caller,
        header: RequestHeader,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Deferred> {
        let start = out.len();
        match self.call(caller, &header, body, out) {
            Ok(Outcome::Now(mut response)) => {
                rpc::write_response(out, header, &response);
                response.data.as_mut().map(wipe_vec);
                None
            }
            Ok(Outcome::Written) => None,
            Ok(Outcome::Later(change, finish)) => Some(Deferred {
                header,
                change,
                finish,
            }),
            Err(error) => {
                out.truncate(start);
                rpc::write_error(out, header, error);
                None
            }
        }
    }

    /// The answer to a call that has waited, with the counter's new value.
    pub(crate) fn finish(&self, deferred: Deferred, stored: Result<Stored, String>) -> Vec<u8> {
        let Deferred {
            header,
            change,
            finish,
        } = deferred;
        let mut out = Vec::new();
        let done = stored.and_then(|stored| match finish {
            Finish::Told => {
                rpc::write_response(&mut out, header.clone(), &TaoResponse::default());
                Ok(())
            }
            Finish::Seal {
                program,
                policy,
                data,
            } => {
                let counter = CounterValue {
                    program: program.clone(),
                    label: change.key.1,
                    value: stored.value,
                    era: stored.era,
                };
                let sealing = Sealing::new(&program, policy, &data, Some(counter))?;
                self.write_sealed(&sealing, &header, &mut out)
            }
        });
        if let Err(error) = done {
            out.clear();
            rpc::write_error(&mut out, header, error);
        }
        out
    }

    pub(crate) fn write_sealed(
        &self,
        sealing: &Sealing<'_>,
        header: &RequestHeader,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let crypter = &self.identity.keys.crypter;
        let rest = TaoResponse::default();
        rpc::write_tao_response(out, header.clone(), sealing.length(), &rest, |out| {
            sealing.seal(crypter, out)
        })
        .map_err(|error| error.to_string())
    }

    fn call(
        &self,
        caller: &Caller,
        header: &RequestHeader,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome, String> {
        let op = header.op.as_str();
        let unknown = || rpc::unknown_method(op, rpc::TAO_SERVICE);
        let method = op.strip_prefix("Tao.").ok_or_else(unknown)?;
        type Method = fn(&TaoService, &Caller, Call<'_>) -> Result<Outcome, String>;
        let method: Method = match method {
            "GetTaoName" => |this, caller, _| Ok(data(this.name(caller).encode()).into()),
            "ExtendTaoName" => |_, caller, call| extend(caller, call.data),
            "GetRandomBytes" => |_, _, call| random_bytes(call.request.size),
            "GetSharedSecret" => Self::shared_secret,
            "Seal" => Self::seal,
            "Unseal" => Self::unseal,
            "Attest" => Self::attest,
            "InitCounter" => |_, caller, call| init_counter(caller, call.request),
            "GetCounter" => Self::get_counter,
            "DeleteCounter" => |_, caller, call| delete_counter(caller, call.request),
            "RollbackProtectedSeal" => |_, caller, call| rollback_seal(caller, call),
            "RollbackProtectedUnseal" => Self::rollback_unseal,
            _ => return Err(unknown()),
        };
        let malformed = |why: &str| format!("taorpc: malformed request: {why}");
        let (bytes, rest) =
            data_field::split(body, data_field::DATA).ok_or_else(|| malformed("not a message"))?;
        let request =
            TaoRequest::decode(rest.as_slice()).map_err(|error| malformed(&error.to_string()))?;
        let call = Call {
            header,
            request,
            data: bytes.unwrap_or_default(),
            out,
        };
        method(self, caller, call)
    }
}
