//! What administrators ask about programs' counters, and that they may delete them: those of a
//! program that is no longer used take room that others need.

use std::sync::Arc;

use crate::{
    administer::{admin::AdminConnection, administrator::Peer},
    counters::{
        store::Change,
        table::{Owner, Target},
    },
    serve::reactor::Host,
};
use tao::wire::{
    counter_messages::{CountersOf, CountersRequest, CountersResponse},
    messages::RequestHeader,
    rpc,
};

/// The answer to a call about counters; none yet if something has to be stored first.
pub(crate) fn counters(
    connection: &Arc<AdminConnection>,
    (host, peer): (&Arc<Host>, &Peer),
    header: &RequestHeader,
    request: &CountersRequest,
) -> Result<Option<CountersResponse>, String> {
    let service = rpc::COUNTERS_SERVICE;
    let op = header.op.strip_prefix(service);
    match op.and_then(|op| op.strip_prefix('.')) {
        Some("List") => {
            peer.require(host, "ListCounters")?;
            list(host).map(Some)
        }
        Some("Delete") => {
            peer.require(host, "DeleteCounters")?;
            delete(connection, host, header, request)?;
            Ok(None)
        }
        _ => Err(rpc::unknown_method(&header.op, service)),
    }
}

fn list(host: &Host) -> Result<CountersResponse, String> {
    let uses = host.counters.uses().map_err(|error| error.to_string())?;
    let programs = uses.into_iter().map(|(id, has)| CountersOf {
        program: id.to_vec(),
        name: has.name,
        counters: has.counters as u64,
        bytes: has.bytes as u64,
    });
    Ok(CountersResponse {
        programs: programs.collect(),
        deleted: None,
    })
}

fn delete(
    connection: &Arc<AdminConnection>,
    host: &Arc<Host>,
    header: &RequestHeader,
    request: &CountersRequest,
) -> Result<(), String> {
    let program = request.program.as_deref().unwrap_or_default();
    let id = program
        .try_into()
        .map_err(|_| format!("a program's hash has 32 bytes, not {}", program.len()))?;
    let owner = Owner {
        id,
        name: String::new(),
    };
    log::info!("the counters of {} are deleted", hex::encode(id));
    let (connection, answering) = (Arc::downgrade(connection), Arc::downgrade(host));
    let header = header.clone();
    host.counters.change(Change {
        key: (id, String::new()),
        owner,
        to: Target::AllDeleted,
        then: Box::new(move |done| {
            // An administrator or a host that has gone needs no answer.
            let (Some(connection), Some(host)) = (connection.upgrade(), answering.upgrade()) else {
                return;
            };
            let mut answer = Vec::new();
            match done {
                Ok(stored) => {
                    let response = CountersResponse {
                        programs: Vec::new(),
                        deleted: u64::try_from(stored.value).ok(),
                    };
                    rpc::write_response(&mut answer, header, &response);
                }
                Err(error) => rpc::write_error(&mut answer, header, error),
            }
            connection.push(&host, &answer);
        }),
    });
    Ok(())
}
