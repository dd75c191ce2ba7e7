//! What administrators can have done: starting, listing and ending programs.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::Signal,
    unistd::{Gid, Uid, fchown, geteuid, pipe2},
};
use tao::{
    logic::SubPrin,
    wire::messages::{AdminHostedProgram, AdminRequest, AdminResponse},
};

use crate::{
    administer::administrator::Peer,
    calls::caller::Caller,
    measure::{
        composition::compose,
        credentials::Credentials,
        opening::Opener,
        program_name::{Circumstances, program_name},
    },
    policy::environment,
    running::{
        output::Output,
        programs::{Channel, Program},
    },
    serve::{program_socket::ProgramSocket, reactor::Host, session::Session},
    start::launch::Launch,
};
use tao::limits::Limits;

/// What the original answers where no program fits.
pub(crate) const NO_SUCH_PROGRAM: &str = "no such hosted program";

/// The descriptors that the request names by their place among those sent with it.
pub(crate) fn take_stdio(
    request: &AdminRequest,
    received: &mut VecDeque<OwnedFd>,
) -> Result<[Option<OwnedFd>; 3], String> {
    let mut sent: Vec<Option<OwnedFd>> = received.drain(..).map(Some).collect();
    let mut take = |index: Option<i32>, what: &str| match index {
        None => Ok(None),
        Some(index) => usize::try_from(index)
            .ok()
            .and_then(|index| sent.get_mut(index).and_then(Option::take))
            .map(Some)
            .ok_or(format!(
                "{what}: descriptor {index} was not sent, or is used twice"
            )),
    };
    Ok([
        take(request.stdin, "stdin")?,
        take(request.stdout, "stdout")?,
        take(request.stderr, "stderr")?,
    ])
}

pub(crate) fn start(
    host: &Host,
    peer: &Peer,
    caller: &Credentials,
    request: &AdminRequest,
    mut stdio: [Option<OwnedFd>; 3],
) -> Result<AdminResponse, String> {
    let path = request
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .ok_or("no program is named")?;
    let dir = Path::new(request.dir.as_deref().unwrap_or("/"));
    if !dir.is_absolute() {
        return Err(format!(
            "{}: the working directory must be an absolute path",
            dir.display()
        ));
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
    if let Err(why) = host.guard.may_execute_something(caller.is_own()) {
        return Err(format!(
            "Hosted program {path} denied authorization to execute on host {host_name}: {why}"
        ));
    }
    let opener = Opener::of(caller).map_err(|error| {
        format!(
            "{path}: files can't be opened as user {}: {error}",
            peer.uid
        )
    })?;
    let composition =
        compose(&dir.join(path), policy, &opener).map_err(|error| error.to_string())?;
    // Only now: that the program is not there, or is none, is what matters more.
    environment::check(&request.environment, policy).map_err(|error| error.to_string())?;
    let circumstances = Circumstances {
        policy,
        lacking: host.spawner.lacking(),
        arguments: &request.args,
        environment: &request.environment,
    };
    let subprin = program_name(&composition, &circumstances).map_err(|error| error.to_string())?;
    if let Err(why) = host.guard.may_execute(&host_name.extended(&subprin)) {
        log::warn!("{path} ({subprin}) was not started: {why}");
        return Err(format!(
            "Hosted program {subprin} denied authorization to execute on host {host_name}: {why}"
        ));
    }
    let user = host.spawner.user_of(&subprin, (peer.uid, peer.gid))?;
    let own_folder = host.spawner.own_folder(user)?;
    let output = match request.keep_output {
        Some(true) => Some(kept(&mut stdio, user).map_err(|error| format!("{path}: {error}"))?),
        _ => None,
    };
    let program = Arc::new(Caller::new(subprin));
    let socket = match request.channel.as_deref() {
        None | Some("" | "pipe") => None,
        Some("unix") => {
            let socket = ProgramSocket::bind(&host.socket_dir, Arc::clone(&program), user.0);
            Some(Arc::new(
                socket.map_err(|error| format!("{path}: {error}"))?,
            ))
        }
        Some(other) => return Err(format!("channel {other:?}: expected pipe or unix")),
    };
    let launch = Launch {
        path,
        args: &request.args,
        environment: &request.environment,
        dir,
        stdio,
        uid: user.0,
        gid: user.1,
        own_folder,
        caller: Some(caller),
        limits,
        socket: socket.as_deref().map(ProgramSocket::path),
    };
    let starting = host.programs.starting();
    let spawned = host
        .spawner
        .spawn(&composition, launch)
        .map_err(|error| format!("{path}: {error}"))?;
    let channel = match (socket, spawned.pipes) {
        (Some(socket), _) => {
            socket.belongs_to(&spawned.process);
            Channel::Socket(socket)
        }
        (None, Some((requests, responses))) => {
            let program = Arc::clone(&program);
            Channel::Pipes(Arc::new(Session::new(program, requests, responses)))
        }
        (None, None) => return Err(format!("{path}: it has no channel")),
    };
    let program = Program::new(spawned.process, program, channel, output, peer.uid);
    let program = Arc::new(program);
    let added = host.programs.insert(Arc::clone(&program));
    drop(starting);
    if !added {
        let sentence = "the host is shutting down".to_owned();
        return Err(abandon(host, &program, sentence));
    }
    if let Err(error) = host.host(&program) {
        let sentence = abandon(
            host,
            &program,
            format!("{path}: the host can't watch it: {error}"),
        );
        drop(host.programs.ended(&program, -1));
        return Err(sentence);
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

/// Standard output and error go to a pipe that the host reads.
fn kept(stdio: &mut [Option<OwnedFd>; 3], (uid, gid): (Uid, Gid)) -> std::io::Result<Arc<Output>> {
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

/// The last of what a program in the background has written.
pub(crate) fn output(host: &Host, request: &AdminRequest) -> Result<AdminResponse, String> {
    let pid = request.pid.unwrap_or_default();
    let output = host
        .programs
        .output(pid)
        .ok_or("no output of such a program is kept; only that of programs in the background is")?;
    let (last, written) = output.last();
    Ok(AdminResponse {
        output: Some(last),
        written: Some(written),
        ..AdminResponse::default()
    })
}

/// A program that can't be hosted must not run.
fn abandon(host: &Host, program: &Program, sentence: String) -> String {
    let ended = program.process.abandon();
    host.spawner.clean_up(&program.process);
    match ended {
        Ok(()) => sentence,
        Err(error) => format!("{sentence}; process {} is left: {error}", program.pid),
    }
}

fn describe(program: &Program, name: &SubPrin) -> AdminHostedProgram {
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
) -> Result<AdminResponse, String> {
    let program = host.programs.find(request.pid.unwrap_or_default());
    let program = program.ok_or(NO_SUCH_PROGRAM)?;
    // A process of that number may be another program by now.
    if let Some(subprin) = request.subprin.as_deref() {
        let subprin = SubPrin::decode(subprin).map_err(|error| format!("subprin: {error}"))?;
        if !program.caller.is_called(&subprin) {
            return Err(NO_SUCH_PROGRAM.to_owned());
        }
    }
    if !peer.is_owner(program.owner) {
        peer.require(host, "Stop")?;
    }
    let number = request.signal.unwrap_or_default();
    let signal =
        Signal::try_from(number).map_err(|_| format!("{number} is not the number of a signal"))?;
    program
        .process
        .signal(signal)
        .map_err(|error| format!("{signal} to process {}: {error}", program.pid))?;
    Ok(AdminResponse::default())
}

pub(crate) fn signal(
    host: &Host,
    request: &AdminRequest,
    signal: Signal,
) -> Result<AdminResponse, String> {
    let subprin = SubPrin::decode(request.subprin.as_deref().unwrap_or_default())
        .map_err(|error| format!("subprin: {error}"))?;
    match host.programs.signal(&subprin, signal) {
        0 => Err(NO_SUCH_PROGRAM.to_owned()),
        _ => Ok(AdminResponse::default()),
    }
}
