//! What each call of the Tao does.

use std::sync::Arc;

use crate::{
    authority::identity::{Identity, VALIDITY, now},
    calls::{
        call::{Call, CounterChange, Finish, Outcome, data},
        caller::{Called, Caller},
        error::CallError,
        sealing::{self, MAX_DATA, Sealing, Unsealed},
    },
    counters::{
        store::CounterStore,
        table::{self, Stored, Target},
    },
};
use tao::{
    keys::{SignatureFormat, random},
    logic::{Form, LogicError, Prin, Says, SubPrin},
    wire::{
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc::{self, STRONG_ATTESTATION},
    },
};

/// Whom the calls speak for, and where counters are.
pub(crate) struct Tao {
    pub identity: Arc<Identity>,
    pub counters: Arc<CounterStore>,
}

impl Tao {
    pub(crate) fn name(&self, caller: &Caller) -> Prin {
        self.identity.name().extended(&caller.now().subprin)
    }

    pub(crate) fn shared_secret(
        &self,
        caller: &Caller,
        call: Call<'_>,
    ) -> Result<Outcome, CallError> {
        let request = call.request;
        let policy = policy(request.policy);
        // The tags are the original's. Our text of a name belongs to that name alone.
        let tag = match policy.as_str() {
            "self" | "few" => format!("{policy}|{}", caller.now().subprin),
            "any" => policy,
            _ => {
                let call = "GetSharedSecret";
                return Err(CallError::Policy { call, policy });
            }
        };
        let size = size(request.size)?;
        let mut secret = self.identity.keys.deriver.derive(tag.as_bytes(), size)?;
        Ok(data(std::mem::take(&mut *secret)).into())
    }

    pub(crate) fn seal(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, CallError> {
        let policy = policy(call.request.policy);
        let sealing = Sealing::new(&caller.now().bytes, policy, call.data, None)?;
        self.write_sealed(&sealing, call.header, call.out)?;
        Ok(Outcome::Written)
    }

    /// Gives back what `allowed` lets pass.
    pub(crate) fn open(
        &self,
        caller: &Caller,
        call: Call<'_>,
        allowed: impl FnOnce(&Unsealed<'_>) -> Result<(), CallError>,
    ) -> Result<Outcome, CallError> {
        let Call {
            header, data, out, ..
        } = call;
        let crypter = &self.identity.keys.crypter;
        sealing::unseal(crypter, &caller.now().bytes, data, |unsealed| {
            allowed(&unsealed)?;
            let rest = TaoResponse {
                policy: Some(unsealed.policy),
                ..TaoResponse::default()
            };
            let data = unsealed.data;
            rpc::write_tao_response(out, header.clone(), data.len(), &rest, |out| {
                out.extend_from_slice(data);
                Ok::<(), CallError>(())
            })?;
            Ok(Outcome::Written)
        })
    }

    pub(crate) fn unseal(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, CallError> {
        self.open(caller, call, |unsealed| match unsealed.counter {
            None => Ok(()),
            Some(_) => Err(CallError::Protected),
        })
    }

    pub(crate) fn get_counter(
        &self,
        caller: &Caller,
        call: Call<'_>,
    ) -> Result<Outcome, CallError> {
        let key = (caller.now().id(), label(call.request.label));
        let value = self.counters.get(&key)?;
        let counter = Some(value.ok_or(CallError::NoCounter)?.value);
        Ok(TaoResponse {
            counter,
            ..TaoResponse::default()
        }
        .into())
    }

    pub(crate) fn rollback_unseal(
        &self,
        caller: &Caller,
        call: Call<'_>,
    ) -> Result<Outcome, CallError> {
        self.open(caller, call, |unsealed| {
            let Some(counter) = &unsealed.counter else {
                return Err(CallError::NotProtected);
            };
            let current = self
                .counters
                .get(&(table::id(&counter.program), counter.label.clone()))?;
            let sealed_at = Stored {
                era: counter.era,
                value: counter.value,
            };
            if current != Some(sealed_at) {
                return Err(CallError::RolledBack);
            }
            Ok(())
        })
    }

    pub(crate) fn attest(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, CallError> {
        let request = call.request;
        let name = self.name(caller);
        let issuer = match &request.issuer {
            None => name,
            Some(bytes) => {
                let issuer = Prin::decode(bytes).map_err(malformed("issuer"))?;
                if !issuer.is_spoken_for_by(&name) {
                    return Err(CallError::Issuer);
                }
                issuer
            }
        };
        // Only our own programs ask for a format; the original's get the original's.
        let format = match request.policy.as_deref() {
            None | Some("") => SignatureFormat::Original,
            Some(STRONG_ATTESTATION) => SignatureFormat::Strong,
            Some(other) => {
                let (call, policy) = ("Attest", other.to_owned());
                return Err(CallError::Policy { call, policy });
            }
        };
        let message = Form::decode(call.data).map_err(malformed("statement"))?;
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
        let attestation = self.identity.attest(format, statement)?;
        Ok(data(attestation).into())
    }

    pub(crate) fn write_sealed(
        &self,
        sealing: &Sealing<'_>,
        header: &RequestHeader,
        out: &mut Vec<u8>,
    ) -> Result<(), CallError> {
        let crypter = &self.identity.keys.crypter;
        let rest = TaoResponse::default();
        let length = sealing.length();
        rpc::write_tao_response(out, header.clone(), length, &rest, |out| {
            sealing.seal(crypter, out)
        })?;
        Ok(())
    }
}

fn malformed(part: &'static str) -> impl FnOnce(LogicError) -> CallError {
    move |source| CallError::Malformed { part, source }
}

fn policy(asked: Option<String>) -> String {
    // An absent policy is the empty one, which no call takes.
    asked.unwrap_or_default()
}

fn label(asked: Option<String>) -> String {
    // An absent label is the empty one.
    asked.unwrap_or_default()
}

pub(crate) fn extend(caller: &Caller, data: &[u8]) -> Result<Outcome, CallError> {
    let more = SubPrin::decode(data).map_err(malformed("extension"))?;
    if let Some(head) = more.host_written() {
        return Err(CallError::HostWritten(head.name()));
    }
    caller.extend(&more)?;
    Ok(TaoResponse::default().into())
}

/// How many bytes were asked for.
fn size(size: Option<i32>) -> Result<usize, CallError> {
    let size = size.and_then(|size| usize::try_from(size).ok());
    let possible = |size: &usize| (1..=MAX_DATA).contains(size);
    size.filter(possible).ok_or(CallError::Size)
}

pub(crate) fn random_bytes(asked: Option<i32>) -> Result<Outcome, CallError> {
    let mut bytes = vec![0; size(asked)?];
    random(&mut bytes)?;
    Ok(data(bytes).into())
}

/// The original only reads its table when there is no label.
pub(crate) fn init_counter(caller: &Caller, request: TaoRequest) -> Result<Outcome, CallError> {
    let label = label(request.label);
    if label.is_empty() {
        return Ok(TaoResponse::default().into());
    }
    // Without a number it begins at zero.
    let to = Target::AtLeast(request.counter.unwrap_or(0));
    let change = counter_change(&caller.now(), caller, label, to);
    Ok(Outcome::Later(change, Finish::Told))
}

/// Ours: room for another one.
pub(crate) fn delete_counter(caller: &Caller, request: TaoRequest) -> Result<Outcome, CallError> {
    let label = label(request.label);
    let change = counter_change(&caller.now(), caller, label, Target::Deleted);
    Ok(Outcome::Later(change, Finish::Told))
}

fn counter_change(now: &Called, caller: &Caller, label: String, to: Target) -> CounterChange {
    CounterChange {
        key: (now.id(), label),
        owner: caller.owner().clone(),
        to,
    }
}

pub(crate) fn rollback_seal(caller: &Caller, call: Call<'_>) -> Result<Outcome, CallError> {
    let label = label(call.request.label);
    let policy = policy(call.request.policy);
    // Before a counter is spent on it.
    sealing::check(&policy, call.data)?;
    let now = caller.now();
    let finish = Finish::Seal {
        program: now.bytes.clone(),
        policy,
        data: call.data.to_vec().into(),
    };
    let change = counter_change(&now, caller, label, Target::Next);
    Ok(Outcome::Later(change, finish))
}
