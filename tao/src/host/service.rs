//! The calls of the Tao: what a hosted program asks, and what the host answers.
//!
//! Error texts are those of the original where it has them: programs compare them.

use std::sync::Arc;

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{
    caller::Caller,
    counters::{CounterStore, Stored, Target},
    identity::{Identity, VALIDITY, now},
    sealing::{self, CounterValue, MAX_DATA},
};
use crate::{
    keys::{SignatureFormat, random},
    logic::{Form, Prin, Says, SubPrin},
    wire::{
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc::{self, STRONG_ATTESTATION},
    },
};

/// Answers the calls of hosted programs.
pub struct TaoService {
    identity: Arc<Identity>,
    counters: Arc<CounterStore>,
}

/// A call whose answer waits for a counter to be stored.
pub(super) struct Deferred {
    header: RequestHeader,
    /// The counter and what it is to become.
    pub key: (Vec<u8>, String),
    pub to: Target,
    finish: Finish,
}

/// What is left to do once the counter is stored.
enum Finish {
    Init,
    Seal {
        caller: SubPrin,
        policy: String,
        data: Zeroizing<Vec<u8>>,
    },
}

/// An answer, or what it waits for.
enum Outcome {
    Now(TaoResponse),
    Later(SubPrin, String, Target, Finish),
}

impl From<TaoResponse> for Outcome {
    fn from(response: TaoResponse) -> Self {
        Outcome::Now(response)
    }
}

fn data(data: Vec<u8>) -> TaoResponse {
    TaoResponse {
        data: Some(data),
        ..TaoResponse::default()
    }
}

impl TaoService {
    /// A service that speaks for `identity`.
    pub(super) fn new(identity: Arc<Identity>, counters: Arc<CounterStore>) -> Self {
        TaoService { identity, counters }
    }

    /// The host's name.
    pub fn host_name(&self) -> &Prin {
        self.identity.name()
    }

    /// Appends the answer to one call to `out`, or says what it waits for.
    pub(super) fn answer(
        &self,
        caller: &Caller,
        header: RequestHeader,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Deferred> {
        match self.call(caller, &header.op, body) {
            Ok(Outcome::Now(mut response)) => {
                rpc::write_response(out, header, &response);
                response.data.zeroize();
                None
            }
            Ok(Outcome::Later(program, label, to, finish)) => Some(Deferred {
                header,
                key: (program.encode(), label),
                to,
                finish,
            }),
            Err(error) => {
                rpc::write_error(out, header, error);
                None
            }
        }
    }

    /// The answer to a call that has waited, with the counter's new value.
    pub(super) fn finish(&self, deferred: Deferred, stored: Result<Stored, String>) -> Vec<u8> {
        let Deferred {
            header,
            key: (program, label),
            finish,
            ..
        } = deferred;
        let answer = stored.and_then(|stored| match finish {
            Finish::Init => Ok(TaoResponse::default()),
            Finish::Seal {
                caller,
                policy,
                mut data,
            } => {
                let counter = CounterValue {
                    program,
                    label,
                    value: stored.value,
                    era: stored.era,
                };
                let plain = std::mem::take(&mut *data);
                let crypter = &self.identity.keys.crypter;
                let sealed = sealing::seal(crypter, &caller, policy, plain, Some(counter))?;
                Ok(TaoResponse {
                    data: Some(sealed),
                    ..TaoResponse::default()
                })
            }
        });
        let mut out = Vec::new();
        match answer {
            Ok(response) => rpc::write_response(&mut out, header, &response),
            Err(error) => rpc::write_error(&mut out, header, error),
        }
        out
    }

    fn call(&self, caller: &Caller, op: &str, body: &[u8]) -> Result<Outcome, String> {
        let unknown = || rpc::unknown_method(op, rpc::TAO_SERVICE);
        let method = op.strip_prefix("Tao.").ok_or_else(unknown)?;
        type Method = fn(&TaoService, &Caller, &mut TaoRequest) -> Result<Outcome, String>;
        let method: Method = match method {
            "GetTaoName" => |this, caller, _| Ok(data(this.name(caller).encode()).into()),
            "ExtendTaoName" => |_, caller, request| extend(caller, request),
            "GetRandomBytes" => |_, _, request| random_bytes(request.size),
            "GetSharedSecret" => Self::shared_secret,
            "Seal" => Self::seal,
            "Unseal" => Self::unseal,
            "Attest" => Self::attest,
            "InitCounter" => |_, caller, request| init_counter(caller, request),
            "GetCounter" => Self::get_counter,
            "RollbackProtectedSeal" => |_, caller, request| rollback_seal(caller, request),
            "RollbackProtectedUnseal" => Self::rollback_unseal,
            _ => return Err(unknown()),
        };
        let mut request = TaoRequest::decode(body)
            .map_err(|error| format!("taorpc: malformed request: {error}"))?;
        let outcome = method(self, caller, &mut request);
        request.data.zeroize();
        outcome
    }

    fn name(&self, caller: &Caller) -> Prin {
        self.identity.name().extended(&caller.subprin())
    }

    fn shared_secret(&self, caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
        let policy = request.policy.take().unwrap_or_default();
        // The tags are the original's. Our text of a name belongs to that name alone.
        let tag = match policy.as_str() {
            "self" | "few" => format!("{policy}|{}", caller.subprin()),
            "any" => policy,
            other => return Err(format!("policy not supported for GetSharedSecret: {other}")),
        };
        let size = size(request.size)?;
        let mut secret = self
            .identity
            .keys
            .deriver
            .derive(tag.as_bytes(), size)
            .map_err(|error| error.to_string())?;
        Ok(data(std::mem::take(&mut *secret)).into())
    }

    fn seal(&self, caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
        let policy = request.policy.take().unwrap_or_default();
        let plain = request.data.take().unwrap_or_default();
        let crypter = &self.identity.keys.crypter;
        sealing::seal(crypter, &caller.subprin(), policy, plain, None)
            .map(|sealed| data(sealed).into())
    }

    fn unseal(&self, caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
        let sealed = request.data.as_deref().unwrap_or_default();
        let unsealed = sealing::unseal(&self.identity.keys.crypter, &caller.subprin(), sealed)?;
        if unsealed.counter.is_some() {
            return Err(
                "sealed by RollbackProtectedSeal: RollbackProtectedUnseal opens it".to_owned(),
            );
        }
        Ok(unsealed.into_response().into())
    }

    fn get_counter(&self, caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
        let label = request.label.take().unwrap_or_default();
        let value = self
            .counters
            .get(&(caller.subprin().encode(), label))
            .map_err(|error| error.to_string())?;
        let counter = Some(value.ok_or("No such counter")?.value);
        Ok(TaoResponse {
            counter,
            ..TaoResponse::default()
        }
        .into())
    }

    fn rollback_unseal(
        &self,
        caller: &Caller,
        request: &mut TaoRequest,
    ) -> Result<Outcome, String> {
        let sealed = request.data.as_deref().unwrap_or_default();
        let unsealed = sealing::unseal(&self.identity.keys.crypter, &caller.subprin(), sealed)?;
        let Some(counter) = &unsealed.counter else {
            return Err("not sealed by RollbackProtectedSeal".to_owned());
        };
        let current = self
            .counters
            .get(&(counter.program.clone(), counter.label.clone()))
            .map_err(|error| error.to_string())?;
        let sealed_at = Stored {
            era: counter.era,
            value: counter.value,
        };
        if current != Some(sealed_at) {
            return Err("RollbackProtectedUnseal bad counter".to_owned());
        }
        Ok(unsealed.into_response().into())
    }

    fn attest(&self, caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
        let name = self.name(caller);
        let issuer = match &request.issuer {
            None => name,
            Some(bytes) => {
                let issuer = Prin::decode(bytes).map_err(|error| format!("issuer: {error}"))?;
                if !issuer.is_within(&name) {
                    return Err("invalid issuer in statement".to_owned());
                }
                issuer
            }
        };
        // Only our own programs ask for a format; the original's get the original's.
        let format = match request.policy.as_deref() {
            None | Some("") => SignatureFormat::Original,
            Some(STRONG_ATTESTATION) => SignatureFormat::Strong,
            Some(other) => return Err(format!("policy not supported for Attest: {other}")),
        };
        let message = Form::decode(request.data.as_deref().unwrap_or_default())
            .map_err(|error| format!("statement: {error}"))?;
        let time = request.time.unwrap_or_else(now);
        let expiration = request
            .expiration
            .unwrap_or_else(|| now().saturating_add(VALIDITY));
        let statement = Says {
            speaker: issuer.into(),
            time: Some(time),
            expiration: Some(expiration),
            message: Box::new(message),
        };
        self.identity
            .attest(format, statement)
            .map(|attestation| data(attestation).into())
            .map_err(|error| error.to_string())
    }
}

fn extend(caller: &Caller, request: &TaoRequest) -> Result<Outcome, String> {
    let more = SubPrin::decode(request.data.as_deref().unwrap_or_default())
        .map_err(|error| format!("extension: {error}"))?;
    caller.extend(&more)?;
    Ok(TaoResponse::default().into())
}

/// How many bytes were asked for.
fn size(size: Option<i32>) -> Result<usize, String> {
    match usize::try_from(size.unwrap_or_default()) {
        Ok(size) if size > 0 && size <= MAX_DATA => Ok(size),
        _ => Err("invalid size".to_owned()),
    }
}

fn random_bytes(asked: Option<i32>) -> Result<Outcome, String> {
    let mut bytes = vec![0; size(asked)?];
    random(&mut bytes).map_err(|error| error.to_string())?;
    Ok(data(bytes).into())
}

/// The original only reads its table when there is no label.
fn init_counter(caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
    let label = request.label.take().unwrap_or_default();
    if label.is_empty() {
        return Ok(TaoResponse::default().into());
    }
    let to = Target::AtLeast(request.counter.unwrap_or_default());
    Ok(Outcome::Later(caller.subprin(), label, to, Finish::Init))
}

fn rollback_seal(caller: &Caller, request: &mut TaoRequest) -> Result<Outcome, String> {
    let label = request.label.take().unwrap_or_default();
    let policy = request.policy.take().unwrap_or_default();
    let data = Zeroizing::new(request.data.take().unwrap_or_default());
    // Before a counter is spent on it.
    sealing::check(&policy, &data)?;
    let caller = caller.subprin();
    let finish = Finish::Seal {
        caller: caller.clone(),
        policy,
        data,
    };
    Ok(Outcome::Later(caller, label, Target::Next, finish))
}
