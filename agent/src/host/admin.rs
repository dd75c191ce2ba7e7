//! An administrator's connection: starts, lists, waits for, stops and kills programs.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::{
    cmsg_space,
    sys::{
        signal::Signal,
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
    },
    unistd::{Gid, Uid},
};
use tao::{
    descriptors,
    logic::SubPrin,
    wire::{
        messages::{AdminHostedProgram, AdminRequest, AdminResponse, RequestHeader},
        proto2, rpc,
    },
};

use super::{
    connection::{Broken, Duplex, Read},
    measured::measure,
    programs::{Program, Wait, Waiter},
    reactor::{Host, Interest, Token},
    service::Caller,
    session::Session,
    spawn::Launch,
};

/// Descriptors one message may carry; a program takes three.
const MOST_DESCRIPTORS: usize = 8;

/// Who is at the other end, as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub uid: Uid,
    pub gid: Gid,
}

struct State {
    /// `None` once the connection has ended.
    stream: Option<UnixStream>,
    token: Token,
    duplex: Duplex,
    /// Received and not used yet.
    descriptors: VecDeque<OwnedFd>,
}

/// An administrator's connection.
pub(super) struct AdminConnection {
    peer: Peer,
    state: Mutex<State>,
}

impl AdminConnection {
    pub(super) fn new(stream: UnixStream, peer: Peer) -> Self {
        let state = State {
            stream: Some(stream),
            token: 0,
            duplex: Duplex::default(),
            descriptors: VecDeque::new(),
        };
        AdminConnection {
            peer,
            state: Mutex::new(state),
        }
    }

    /// A worker that panicked leaves bytes in some state, in this connection only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, host: &Host, token: Token) -> io::Result<()> {
        let mut state = self.state();
        state.token = token;
        match &state.stream {
            Some(stream) => host.add(stream.as_fd(), token, Interest::Read),
            None => Ok(()),
        }
    }

    /// Sends an answer that took its time.
    pub(super) fn push(&self, host: &Host, answer: &[u8]) {
        let mut state = self.state();
        let State {
            stream: Some(stream),
            duplex,
            token,
            ..
        } = &mut *state
        else {
            return;
        };
        duplex.out.extend_from_slice(answer);
        let armed = match duplex.flush(&*stream) {
            Ok(true) => Ok(()),
            Ok(false) => host.arm(stream.as_fd(), *token, Interest::Write),
            Err(Broken::Closed) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = armed {
            log::debug!("an administrator has gone: {error}");
        }
    }

    /// Does what can be done now.
    pub(super) fn drive(self: &Arc<Self>, host: &Arc<Host>, token: Token) {
        let mut state = self.state();
        if let Err(broken) = self.step(&mut state, host, token) {
            if !matches!(broken, Broken::Closed) {
                log::warn!("an administrator's connection ended: {broken}");
            }
            state.stream = None;
            state.descriptors.clear();
            drop(state);
            host.forget(token);
        }
    }

    fn step(
        self: &Arc<Self>,
        state: &mut State,
        host: &Arc<Host>,
        token: Token,
    ) -> Result<(), Broken> {
        let State {
            stream: Some(stream),
            duplex,
            descriptors,
            ..
        } = state
        else {
            return Err(Broken::Closed);
        };
        let mut last = Read::Full;
        loop {
            if !duplex.flush(&*stream)? {
                return Ok(host.arm(stream.as_fd(), token, Interest::Write)?);
            }
            let answered = duplex.answer_next(|header, body, out| {
                self.answer(host, header, body, descriptors, out);
            })?;
            if answered {
                continue;
            }
            if last != Read::Full {
                return Ok(host.arm(stream.as_fd(), token, Interest::Read)?);
            }
            let space = duplex.inbox.space();
            let asked = space.len();
            let result = receive(stream, space, descriptors);
            last = duplex.filled(result, asked)?;
        }
    }

    fn answer(
        self: &Arc<Self>,
        host: &Arc<Host>,
        header: RequestHeader,
        body: &[u8],
        descriptors: &mut VecDeque<OwnedFd>,
        out: &mut Vec<u8>,
    ) {
        let request = match proto2::read(body) {
            Ok(request) => request,
            Err(error) => return rpc::write_error(out, header, error.to_string()),
        };
        let answer = match header.op.strip_prefix("LinuxHost.") {
            Some("StartHostedProgram") => {
                let stdio = take_stdio(&request, descriptors);
                stdio.and_then(|stdio| start(host, self.peer, &request, stdio))
            }
            Some("ListHostedPrograms") => Ok(list(host)),
            Some("WaitHostedProgram") => match self.wait(host, &header, &request) {
                Some(answer) => answer,
                None => return,
            },
            Some("StopHostedProgram") => signal(host, &request, Signal::SIGTERM),
            Some("KillHostedProgram") => signal(host, &request, Signal::SIGKILL),
            Some("HostName") => Ok(AdminResponse {
                prin: Some(host.service.host_name().encode()),
                ..AdminResponse::default()
            }),
            Some("Shutdown") => {
                host.shut_down();
                Ok(AdminResponse::default())
            }
            _ => Err(rpc::unknown_method(&header.op, rpc::ADMIN_SERVICE)),
        };
        match answer {
            Ok(response) => rpc::write_response(out, header, &response),
            Err(error) => rpc::write_error(out, header, error),
        }
    }

    /// The answer, or none yet.
    fn wait(
        self: &Arc<Self>,
        host: &Host,
        header: &RequestHeader,
        request: &AdminRequest,
    ) -> Option<Result<AdminResponse, String>> {
        let subprin = match request.subprin.as_deref().map(SubPrin::decode).transpose() {
            Ok(subprin) => subprin,
            Err(error) => return Some(Err(format!("subprin: {error}"))),
        };
        let waiter = Waiter {
            connection: Arc::downgrade(self),
            request: header.clone(),
        };
        match host
            .programs
            .wait(request.pid.unwrap_or_default(), subprin.as_ref(), waiter)
        {
            Wait::Registered => None,
            Wait::Ended(status) => Some(Ok(AdminResponse {
                status: Some(status),
                ..AdminResponse::default()
            })),
            Wait::Unknown => Some(Err(NO_SUCH_PROGRAM.to_owned())),
        }
    }
}

const NO_SUCH_PROGRAM: &str = "no such hosted program";

fn receive(
    stream: &UnixStream,
    space: &mut [u8],
    received: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut control = cmsg_space!([std::os::fd::RawFd; MOST_DESCRIPTORS]);
    let mut slices = [IoSliceMut::new(space)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            received.extend(descriptors::received(numbers));
        }
    }
    if received.len() > MOST_DESCRIPTORS {
        return Err(io::Error::other("more descriptors than any request needs"));
    }
    Ok(message.bytes)
}

/// The descriptors that the request names by their place among those sent with it.
fn take_stdio(
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

fn start(
    host: &Host,
    peer: Peer,
    request: &AdminRequest,
    stdio: [Option<OwnedFd>; 3],
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
    let measured = measure(&dir.join(path)).map_err(|error| error.to_string())?;
    let subprin = SubPrin::program(&measured.sha256).map_err(|error| error.to_string())?;
    let launch = Launch {
        path,
        args: &request.args,
        dir,
        stdio,
        uid: peer.uid,
        gid: peer.gid,
    };
    let spawned = host
        .spawner
        .spawn(&measured, launch)
        .map_err(|error| format!("{path}: {error}"))?;
    let caller = Caller {
        subprin: subprin.clone(),
    };
    let session = Arc::new(Session::new(caller, spawned.requests, spawned.responses));
    let program = Arc::new(Program::new(subprin, spawned.child, spawned.pidfd, session));
    if !host.programs.insert(Arc::clone(&program)) {
        return Err(abandon(&program, "the host is shutting down".to_owned()));
    }
    if let Err(error) = host.host(&program) {
        let sentence = abandon(
            &program,
            format!("{path}: the host can't watch it: {error}"),
        );
        drop(host.programs.ended(&program, -1));
        return Err(sentence);
    }
    log::info!(
        "started {path} as process {}: {}",
        program.pid,
        program.subprin
    );
    Ok(AdminResponse {
        child: vec![describe(&program)],
        ..AdminResponse::default()
    })
}

/// A program that can't be hosted must not run.
fn abandon(program: &Program, sentence: String) -> String {
    match program.end() {
        Ok(()) => sentence,
        Err(error) => format!("{sentence}; process {} is left: {error}", program.pid),
    }
}

fn describe(program: &Program) -> AdminHostedProgram {
    AdminHostedProgram {
        subprin: program.subprin.encode(),
        pid: program.pid,
    }
}

fn list(host: &Host) -> AdminResponse {
    let child = host
        .programs
        .list()
        .iter()
        .map(|program| describe(program))
        .collect();
    AdminResponse {
        child,
        ..AdminResponse::default()
    }
}

fn signal(host: &Host, request: &AdminRequest, signal: Signal) -> Result<AdminResponse, String> {
    let subprin = SubPrin::decode(request.subprin.as_deref().unwrap_or_default())
        .map_err(|error| format!("subprin: {error}"))?;
    match host.programs.signal(&subprin, signal) {
        0 => Err(NO_SUCH_PROGRAM.to_owned()),
        _ => Ok(AdminResponse::default()),
    }
}
