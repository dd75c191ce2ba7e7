//! What each call of the Tao does.

use crate::{
    authority::identity::{VALIDITY, now},
    calls::{
        caller::{Called, Caller},
        sealing::{self, MAX_DATA, Sealing, Unsealed},
        service::{Call, CounterChange, Finish, Outcome, TaoService, data},
    },
    counters::table::{self, Stored, Target},
};
use tao::{
    keys::{SignatureFormat, random},
    logic::{Form, Prin, Says, SubPrin},
    wire::{
        messages::{TaoRequest, TaoResponse},
        rpc::{self, STRONG_ATTESTATION},
    },
};

impl TaoService {
    pub(crate) fn name(&self, caller: &Caller) -> Prin {
        self.identity.name().extended(&caller.now().subprin)
    }

    pub(crate) fn shared_secret(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
        let request = call.request;
        let policy = request.policy.unwrap_or_default();
        // The tags are the original's. Our text of a name belongs to that name alone.
        let tag = match policy.as_str() {
            "self" | "few" => format!("{policy}|{}", caller.now().subprin),
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

    pub(crate) fn seal(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
        let policy = call.request.policy.unwrap_or_default();
        let sealing = Sealing::new(&caller.now().bytes, policy, call.data, None)?;
        self.write_sealed(&sealing, call.header, call.out)?;
        Ok(Outcome::Written)
    }

    /// Gives back what `allowed` lets pass.
    pub(crate) fn open(
        &self,
        caller: &Caller,
        call: Call<'_>,
        allowed: impl FnOnce(&Unsealed<'_>) -> Result<(), String>,
    ) -> Result<Outcome, String> {
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
                Ok::<(), String>(())
            })?;
            Ok(Outcome::Written)
        })
    }

    pub(crate) fn unseal(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
        self.open(caller, call, |unsealed| match unsealed.counter {
            None => Ok(()),
            Some(_) => {
                Err("sealed by RollbackProtectedSeal: RollbackProtectedUnseal opens it".to_owned())
            }
        })
    }

    pub(crate) fn get_counter(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
        let label = call.request.label.unwrap_or_default();
        let value = self
            .counters
            .get(&(caller.now().id(), label))
            .map_err(|error| error.to_string())?;
        let counter = Some(value.ok_or("No such counter")?.value);
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
    ) -> Result<Outcome, String> {
        self.open(caller, call, |unsealed| {
            let Some(counter) = &unsealed.counter else {
                return Err("not sealed by RollbackProtectedSeal".to_owned());
            };
            let current = self
                .counters
                .get(&(table::id(&counter.program), counter.label.clone()))
                .map_err(|error| error.to_string())?;
            let sealed_at = Stored {
                era: counter.era,
                value: counter.value,
            };
            if current != Some(sealed_at) {
                return Err("RollbackProtectedUnseal bad counter".to_owned());
            }
            Ok(())
        })
    }

    pub(crate) fn attest(&self, caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
        let request = call.request;
        let name = self.name(caller);
        let issuer = match &request.issuer {
            None => name,
            Some(bytes) => {
                let issuer = Prin::decode(bytes).map_err(|error| format!("issuer: {error}"))?;
                if !issuer.is_spoken_for_by(&name) {
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
        let message = Form::decode(call.data).map_err(|error| format!("statement: {error}"))?;
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

pub(crate) fn extend(caller: &Caller, data: &[u8]) -> Result<Outcome, String> {
    let more = SubPrin::decode(data).map_err(|error| format!("extension: {error}"))?;
    if let Some(head) = more.host_written() {
        return Err(format!(
            "extension: .{} is written by a host only: it says what a program is",
            head.name()
        ));
    }
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

pub(crate) fn random_bytes(asked: Option<i32>) -> Result<Outcome, String> {
    let mut bytes = vec![0; size(asked)?];
    random(&mut bytes).map_err(|error| error.to_string())?;
    Ok(data(bytes).into())
}

/// The original only reads its table when there is no label.
pub(crate) fn init_counter(caller: &Caller, request: TaoRequest) -> Result<Outcome, String> {
    let label = request.label.unwrap_or_default();
    if label.is_empty() {
        return Ok(TaoResponse::default().into());
    }
    let to = Target::AtLeast(request.counter.unwrap_or_default());
    let change = counter_change(&caller.now(), caller, label, to);
    Ok(Outcome::Later(change, Finish::Told))
}

/// Ours: room for another one.
pub(crate) fn delete_counter(caller: &Caller, request: TaoRequest) -> Result<Outcome, String> {
    let label = request.label.unwrap_or_default();
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

pub(crate) fn rollback_seal(caller: &Caller, call: Call<'_>) -> Result<Outcome, String> {
    let label = call.request.label.unwrap_or_default();
    let policy = call.request.policy.unwrap_or_default();
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
