//! The calls of the Tao: what a hosted program asks, and what the host answers.
//!
//! Error texts are those of the original where it has them: programs compare them.

use std::sync::Arc;

use prost::Message;

use crate::{
    authority::identity::Identity,
    calls::{
        call::{Call, CounterChange, Finish, Outcome, data},
        caller::Caller,
        error::CallError,
        methods::{Tao, delete_counter, extend, init_counter, random_bytes, rollback_seal},
        sealing::{CounterValue, Sealing},
    },
    counters::{
        error::ChangeError,
        store::{Change, CounterStore},
        table::Stored,
    },
};
use tao::{
    keys::wipe_vec,
    logic::Prin,
    wire::{
        data_field,
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc,
    },
};

/// Answers the calls of hosted programs.
pub(crate) struct TaoService(Tao);

/// A call whose answer waits for a counter to be stored.
pub(crate) struct Deferred {
    header: RequestHeader,
    change: CounterChange,
    finish: Finish,
}

impl TaoService {
    /// A service that speaks for `identity`.
    pub(crate) fn new(identity: Arc<Identity>, counters: Arc<CounterStore>) -> Self {
        Self(Tao { identity, counters })
    }

    /// The host's name.
    pub(crate) fn host_name(&self) -> &Prin {
        self.0.identity.name()
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
                rpc::write_error(out, header, error.to_string());
                None
            }
        }
    }

    /// Has the counter of such a call stored; `then` gets the answer when it is.
    pub(crate) fn store(
        self: &Arc<Self>,
        call: Deferred,
        then: impl FnOnce(&[u8]) + Send + 'static,
    ) {
        let this = Arc::clone(self);
        let CounterChange { key, owner, to } = call.change.clone();
        self.0.counters.change(Change {
            key,
            owner,
            to,
            then: Box::new(move |stored| then(&this.finish(call, stored))),
        });
    }

    /// The answer to a call that has waited, with the counter's new value.
    fn finish(&self, deferred: Deferred, stored: Result<Stored, ChangeError>) -> Vec<u8> {
        let Deferred {
            header,
            change,
            finish,
        } = deferred;
        let mut out = Vec::new();
        let stored = stored.map_err(CallError::from);
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
                self.0.write_sealed(&sealing, &header, &mut out)
            }
        });
        if let Err(error) = done {
            out.clear();
            rpc::write_error(&mut out, header, error.to_string());
        }
        out
    }

    fn call(
        &self,
        caller: &Caller,
        header: &RequestHeader,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome, CallError> {
        let op = header.op.as_str();
        let unknown = || CallError::Unknown(rpc::unknown_method(op, rpc::TAO_SERVICE));
        let method = op.strip_prefix("Tao.").ok_or_else(unknown)?;
        type Method = fn(&Tao, &Caller, Call<'_>) -> Result<Outcome, CallError>;
        let method: Method = match method {
            "GetTaoName" => |this, caller, _| Ok(data(this.name(caller).encode()).into()),
            "ExtendTaoName" => |_, caller, call| extend(caller, call.data),
            "GetRandomBytes" => |_, _, call| random_bytes(call.request.size),
            "GetSharedSecret" => Tao::shared_secret,
            "Seal" => Tao::seal,
            "Unseal" => Tao::unseal,
            "Attest" => Tao::attest,
            "InitCounter" => |_, caller, call| init_counter(caller, call.request),
            "GetCounter" => Tao::get_counter,
            "DeleteCounter" => |_, caller, call| delete_counter(caller, call.request),
            "RollbackProtectedSeal" => |_, caller, call| rollback_seal(caller, call),
            "RollbackProtectedUnseal" => Tao::rollback_unseal,
            _ => return Err(unknown()),
        };
        let (bytes, rest) =
            data_field::split(body, data_field::DATA).ok_or(CallError::NoMessage)?;
        let request = TaoRequest::decode(rest.as_slice())?;
        let call = Call {
            header,
            request,
            // Most calls have none.
            data: bytes.unwrap_or(&[]),
            out,
        };
        method(&self.0, caller, call)
    }
}
