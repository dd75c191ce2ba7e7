//! What administrators can have done with programs that run: listing, ending, reading what they
//! write.

use nix::sys::signal::Signal;
use tao::{
    logic::SubPrin,
    wire::messages::{AdminHostedProgram, AdminRequest, AdminResponse},
};

use crate::{
    administer::{administrator::Peer, error::Refused, host::Host},
    running::program::Program,
};

/// The last of what a program in the background has written.
pub(crate) fn output(host: &Host, request: &AdminRequest) -> Result<AdminResponse, Refused> {
    let output = request.pid.and_then(|pid| host.programs.output(pid));
    let output = output.ok_or(Refused::NoOutput)?;
    let (last, written) = output.last();
    Ok(AdminResponse {
        output: Some(last),
        written: Some(written),
        ..AdminResponse::default()
    })
}

/// A running program, under that name.
pub(crate) fn describe(program: &Program, name: &SubPrin) -> AdminHostedProgram {
    AdminHostedProgram {
        subprin: name.encode(),
        pid: program.pid,
        ended: None,
    }
}

/// The programs that run; before them, if `all` are asked for, those that ended lately.
pub(crate) fn list(host: &Host, all: bool) -> AdminResponse {
    // In this order: one that ends in between is there twice, and not missing.
    let running = host.programs.list();
    let mut child = match all {
        true => host.programs.ended_lately(),
        false => Vec::new(),
    };
    let running = running.iter();
    child.extend(running.map(|program| describe(program, &program.caller.subprin())));
    AdminResponse {
        child,
        ..AdminResponse::default()
    }
}

/// Passes a signal on to one program. Who had it started may do that, and who may stop
/// programs.
pub(crate) fn pass_signal(
    host: &Host,
    peer: &Peer,
    request: &AdminRequest,
) -> Result<AdminResponse, Refused> {
    let program = request.pid.and_then(|pid| host.programs.find(pid));
    let program = program.ok_or(Refused::NoSuchProgram)?;
    // A process of that number may be another program by now.
    if let Some(subprin) = request.subprin.as_deref() {
        let subprin = SubPrin::decode(subprin).map_err(Refused::SubPrin)?;
        if !program.caller.is_called(&subprin) {
            return Err(Refused::NoSuchProgram);
        }
    }
    if !peer.is_owner(program.owner) {
        peer.require(host, "Stop")?;
    }
    // No signal has the number 0.
    let number = request.signal.unwrap_or(0);
    let signal = Signal::try_from(number).map_err(|_| Refused::SignalNumber(number))?;
    program
        .process
        .signal(signal)
        .map_err(|source| Refused::Signal {
            signal,
            pid: program.pid,
            source,
        })?;
    Ok(AdminResponse::default())
}

/// Sends a signal to all programs of the name that is asked for.
pub(crate) fn signal(
    host: &Host,
    request: &AdminRequest,
    signal: Signal,
) -> Result<AdminResponse, Refused> {
    // An absent name is refused as an empty one is.
    let subprin = request.subprin.as_deref().unwrap_or(&[]);
    let subprin = SubPrin::decode(subprin).map_err(Refused::SubPrin)?;
    match host.programs.signal(&subprin, signal) {
        0 => Err(Refused::NoSuchProgram),
        _ => Ok(AdminResponse::default()),
    }
}
