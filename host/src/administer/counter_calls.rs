//! What administrators ask about programs' counters, and that they may delete them: those of a
//! program that is no longer used take room that others need.

use crate::{
    administer::{administrator::Peer, error::Refused, host::Host},
    counters::{
        store::Change,
        table::{Owner, Target},
    },
};
use tao::wire::{
    counter_messages::{CountersOf, CountersRequest, CountersResponse},
    rpc,
};

/// Told when counters are deleted, or why they are not.
type Then = Box<dyn FnOnce(Result<CountersResponse, Refused>) + Send>;

/// The answer to a call about counters; none yet if something has to be stored first, and then
/// `later` is told.
pub(crate) fn counters(
    (host, peer): (&Host, &Peer),
    op: &str,
    request: &CountersRequest,
    later: Then,
) -> Result<Option<CountersResponse>, Refused> {
    let service = rpc::COUNTERS_SERVICE;
    let method = op.strip_prefix(service);
    match method.and_then(|op| op.strip_prefix('.')) {
        Some("List") => {
            peer.require(host, "ListCounters")?;
            list(host).map(Some)
        }
        Some("Delete") => {
            peer.require(host, "DeleteCounters")?;
            delete(host, request, later)?;
            Ok(None)
        }
        _ => Err(Refused::Unknown(rpc::unknown_method(op, service))),
    }
}

fn list(host: &Host) -> Result<CountersResponse, Refused> {
    let programs = host.counters.uses()?.into_iter();
    let programs = programs.map(|(id, has)| CountersOf {
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

fn delete(host: &Host, request: &CountersRequest, later: Then) -> Result<(), Refused> {
    // An absent one is refused by its length.
    let program = request.program.as_deref().unwrap_or(&[]);
    let id = program
        .try_into()
        .map_err(|_| Refused::Hash(program.len()))?;
    let owner = Owner {
        id,
        name: String::new(),
    };
    log::info!("the counters of {} are deleted", hex::encode(id));
    host.counters.change(Change {
        key: (id, String::new()),
        owner,
        to: Target::AllDeleted,
        then: Box::new(move |done| {
            let deleted = done.map(|stored| CountersResponse {
                programs: Vec::new(),
                deleted: u64::try_from(stored.value).ok(),
            });
            later(deleted.map_err(Refused::from));
        }),
    });
    Ok(())
}
