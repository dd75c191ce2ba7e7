//! What administrators ask of a host's guard and of the host itself; our own calls.

use crate::{
    administer::{administrator::Peer, error::Refused, host::Host},
    policy::{programs::Confinement, said},
};
use tao::{
    guard::{Explanation, GuardError},
    logic::Pred,
    wire::{
        guard_messages::{GuardRequest, GuardResponse, GuardStep, HostDescription},
        rpc,
    },
};

/// Answers a call of the guard service.
pub(crate) fn guard(
    host: &Host,
    peer: &Peer,
    op: &str,
    request: &GuardRequest,
) -> Result<GuardResponse, Refused> {
    let text = || {
        let given = request.text.as_deref();
        let text = given.filter(|text| !text.trim().is_empty());
        text.ok_or(Refused::NoText)
    };
    let query = || Ok::<Pred, Refused>(text()?.parse()?);
    let guard = &host.guard;
    match op.strip_prefix("Guard.") {
        Some("Query") => {
            peer.require(host, "Query")?;
            let allowed = Some(guard.query(&query()?)?);
            Ok(GuardResponse {
                allowed,
                ..GuardResponse::default()
            })
        }
        Some("Why") => {
            peer.require(host, "Query")?;
            Ok(explained(guard.why(&query()?)?))
        }
        Some("Show") => {
            peer.require(host, "Query")?;
            Ok(GuardResponse {
                rule: guard.rules()?,
                subprin: Some(guard.subprincipal().encode()),
                ..GuardResponse::default()
            })
        }
        Some(change @ ("Add" | "Retract")) => {
            peer.require(host, "ChangeGuard")?;
            let text = text()?;
            guard.change(|guard| -> Result<(), GuardError> {
                if change == "Add" {
                    guard.add_rule(text)
                } else {
                    guard.retract_rule(text)
                }
            })?;
            log::info!("guard: {change} {text}");
            Ok(GuardResponse::default())
        }
        _ => Err(Refused::Unknown(rpc::unknown_method(
            op,
            rpc::GUARD_SERVICE,
        ))),
    }
}

fn explained(explanation: Explanation) -> GuardResponse {
    let step = explanation
        .steps
        .into_iter()
        .map(|step| GuardStep {
            depth: u32::try_from(step.depth).unwrap_or(u32::MAX),
            statement: step.statement,
            reason: step.reason,
        })
        .collect();
    GuardResponse {
        allowed: Some(explanation.allowed),
        step,
        ..GuardResponse::default()
    }
}

fn names(confinements: &[Confinement]) -> Vec<String> {
    let name = |confinement: &Confinement| confinement.name().to_owned();
    confinements.iter().map(name).collect()
}

/// What the host says about itself.
pub(crate) fn describe(host: &Host) -> HostDescription {
    HostDescription {
        prin: host.service.host_name().encode(),
        anchor: host
            .identity
            .with_anchor(|anchor| anchor.map(|anchor| anchor.describe())),
        programs: u32::try_from(host.programs.list().len()).ok(),
        isolation: names(host.spawner.confinements()),
        lacking: names(host.spawner.lacking()),
        policy: said::words(&host.spawner.policy),
        boot_event: host.identity.boot_event(),
    }
}
