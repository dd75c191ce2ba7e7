//! Starting a program: measured as its caller, allowed by the guard, served from then on.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::{Gid, Uid, fchown, geteuid, pipe2},
};
use tao::{
    limits::Limits,
    logic::SubPrin,
    wire::messages::{AdminRequest, AdminResponse},
};

use crate::{
    administer::{
        administrator::Peer, host::Host, operations::describe, start_error::StartRefused,
    },
    calls::caller::Caller,
    confine::{started, users::UserLease},
    connections::{program_socket::ProgramSocket, session::Session},
    measure::{
        compose::compose,
        credentials::Credentials,
        opening::Opener,
        program_name::{Circumstances, program_name},
    },
    policy::environment,
    running::{
        output::Output,
        program::{Channel, Program},
    },
    start::launch::Launch,
};

/// The descriptors that the request names by their place among those sent with it.
pub(crate) fn take_stdio(
    request: &AdminRequest,
    received: &mut VecDeque<OwnedFd>,
) -> Result<[Option<OwnedFd>; 3], StartRefused> {
    let mut sent: Vec<Option<OwnedFd>> = received.drain(..).map(Some).collect();
    let mut take = |index: Option<i32>, what: &'static str| match index {
        None => Ok(None),
        Some(index) => usize::try_from(index)
            .ok()
            .and_then(|index| sent.get_mut(index).and_then(Option::take))
            .map(Some)
            .ok_or(StartRefused::Descriptor { what, index }),
    };
    Ok([
        take(request.stdin, "stdin")?,
        take(request.stdout, "stdout")?,
        take(request.stderr, "stderr")?,
    ])
}

/// Measures the program, asks the guard, and starts it.
pub(crate) fn start(
    host: &Host,
    peer: &Peer,
    caller: &Credentials,
    request: &AdminRequest,
    mut stdio: [Option<OwnedFd>; 3],
) -> Result<AdminResponse, StartRefused> {
    let path = request
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .ok_or(StartRefused::NoPath)?;
    let dir = Path::new(request.dir.as_deref().unwrap_or("/"));
    if !dir.is_absolute() {
        return Err(StartRefused::Relative(dir.to_owned()));
    }
    // What costs nothing to know, before any file is touched.
    let policy = &host.spawner.policy;
    host.spawner.allowed()?;
    let limits = host.spawner.limits(&Limits {
        memory: request.memory,
        processes: request.processes,
        cpu: request.cpu,
    })?;
    let host_name = host.service.host_name();
    let denied = |program: String, why| StartRefused::Denied {
        program,
        host: Box::new(host_name.clone()),
        why,
    };
    let system = |source| StartRefused::System {
        path: path.to_owned(),
        source,
    };
    host.guard
        .may_execute_something(caller.is_own())
        .map_err(|why| denied(path.to_owned(), why))?;
    let opener = Opener::of(caller).map_err(|source| StartRefused::Opener {
        path: path.to_owned(),
        uid: peer.uid,
        source,
    })?;
    let composition = compose(&dir.join(path), policy, &opener)?;
    // Only now: that the program is not there, or is none, is what matters more.
    environment::check(&request.environment, policy)?;
    let circumstances = Circumstances {
        policy,
        lacking: host.spawner.lacking(),
        arguments: &request.args,
        environment: &request.environment,
    };
    let subprin = program_name(&composition, &circumstances)?;
    if let Err(why) = host.guard.may_execute(&host_name.extended(&subprin)) {
        log::warn!("{path} ({subprin}) was not started: {why}");
        return Err(denied(subprin.to_string(), why));
    }
    let (user, lease) = host.spawner.user_of(&subprin, (peer.uid, peer.gid))?;
    let own_directory = host.spawner.own_directory(user)?;
    let output = match request.keep_output {
        Some(true) => Some(kept(&mut stdio, user).map_err(system)?),
        _ => None,
    };
    let program = Arc::new(Caller::new(subprin));
    let socket = match request.channel.as_deref() {
        None | Some("" | "pipe") => None,
        Some("unix") => {
            let service = Arc::clone(&host.service);
            let program = Arc::clone(&program);
            let socket = ProgramSocket::bind(&host.socket_dir, program, service, user.0);
            Some(Arc::new(socket.map_err(system)?))
        }
        Some(other) => return Err(StartRefused::Channel(other.to_owned())),
    };
    let launch = Launch {
        path,
        args: &request.args,
        environment: &request.environment,
        dir,
        stdio,
        uid: user.0,
        gid: user.1,
        own_directory,
        caller: Some(caller),
        limits,
        socket: socket.as_deref().map(ProgramSocket::path),
    };
    let starting = host.programs.starting();
    let spawned = host.spawner.spawn(&composition, launch).map_err(system)?;
    let channel = match (socket, spawned.pipes) {
        (Some(socket), _) => {
            socket.belongs_to(&spawned.process);
            Channel::Socket(socket)
        }
        (None, Some((requests, responses))) => {
            let (program, service) = (Arc::clone(&program), Arc::clone(&host.service));
            Channel::Pipes(Arc::new(Session::new(
                program, service, requests, responses,
            )))
        }
        (None, None) => return Err(StartRefused::NoChannel(path.to_owned())),
    };
    note_start(host, lease.as_ref(), &program.subprin());
    let program = Program::new(spawned.process, program, channel, output, peer.uid, lease);
    let program = Arc::new(program);
    let added = host.programs.insert(Arc::clone(&program));
    drop(starting);
    if !added {
        return Err(abandon(host, &program, StartRefused::Closing));
    }
    if let Err(source) = host.watch(&program) {
        let path = path.to_owned();
        let why = abandon(host, &program, StartRefused::Watch { path, source });
        drop(host.programs.ended(&program, -1));
        return Err(why);
    }
    log::info!(
        "started {path} as process {}: {}",
        program.pid,
        program.started_as()
    );
    Ok(AdminResponse {
        child: vec![describe(&program, program.started_as())],
        ..AdminResponse::default()
    })
}

/// Administrators who ask which users are of use no longer are told when each was used.
fn note_start(host: &Host, lease: Option<&UserLease>, program: &SubPrin) {
    let (Some(lease), Some(state)) = (lease, host.spawner.state()) else {
        return;
    };
    match started::note(state, lease.uid(), program) {
        Err(error) if error.kind() != io::ErrorKind::ReadOnlyFilesystem => {
            log::warn!("when {program} was started last is not noted: {error}");
        }
        _ => {}
    }
}

/// Standard output and error go to a pipe that the host reads.
fn kept(stdio: &mut [Option<OwnedFd>; 3], (uid, gid): (Uid, Gid)) -> io::Result<Arc<Output>> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    if geteuid().is_root() {
        // So that it can open it by name too: /dev/stdout.
        fchown(&write, Some(uid), Some(gid))?;
    }
    fcntl(read.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let [_, stdout, stderr] = stdio;
    *stdout = Some(write.try_clone()?);
    *stderr = Some(write);
    Ok(Arc::new(Output::new(read.into())))
}

/// A program that cannot be hosted must not run.
fn abandon(host: &Host, program: &Program, why: StartRefused) -> StartRefused {
    let ended = program.process.abandon();
    host.spawner.clean_up(&program.process);
    match ended {
        Ok(()) => why,
        Err(source) => StartRefused::Left {
            why: Box::new(why),
            pid: program.pid,
            source,
        },
    }
}
