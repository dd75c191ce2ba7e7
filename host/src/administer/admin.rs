//! An administrator's connection: starts, lists, waits for, stops and kills programs.

use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prost::Message;

use nix::sys::signal::Signal;
use tao::{
    logic::SubPrin,
    wire::{
        messages::{AdminRequest, AdminResponse, RequestHeader},
        proto2, rpc,
    },
};

use crate::{
    administer::{
        administrator::Peer,
        counter_calls,
        error::Refused,
        guard_calls,
        host::Host,
        operations::{list, output, pass_signal, signal},
        receiving::receive,
        start_program::{start, take_stdio},
    },
    connections::{
        connection::{Broken, Duplex, Read},
        reactor::{Interest, Reactor, Source, Token},
    },
    measure::credentials::Credentials,
    running::programs::{Wait, Waiter},
};

struct State {
    /// `None` once the connection has ended.
    stream: Option<UnixStream>,
    token: Token,
    duplex: Duplex,
    /// Received and not used yet.
    descriptors: VecDeque<OwnedFd>,
    /// A program is being started for it: what it asks next waits for that.
    starting: bool,
}

/// What a request came with.
struct Came<'a> {
    descriptors: &'a mut VecDeque<OwnedFd>,
    starting: &'a mut bool,
}

/// An administrator's connection.
pub(crate) struct AdminConnection {
    peer: Peer,
    /// The rights of who is there, or why they are not known.
    caller: Result<Credentials, Arc<io::Error>>,
    host: Arc<Host>,
    state: Mutex<State>,
}

impl AdminConnection {
    pub(crate) fn new(stream: UnixStream, peer: Peer, host: Arc<Host>) -> Self {
        let caller = Credentials::of_peer(stream.as_fd()).map_err(Arc::new);
        let state = State {
            stream: Some(stream),
            token: 0,
            duplex: Duplex::default(),
            descriptors: VecDeque::new(),
            starting: false,
        };
        AdminConnection {
            peer,
            caller,
            host,
            state: Mutex::new(state),
        }
    }

    /// A worker that panicked leaves bytes in some state, in this connection only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reactor tell when something is asked.
    pub(crate) fn watch(self: &Arc<Self>, reactor: &Reactor) -> io::Result<()> {
        reactor.admit(Arc::clone(self) as _, |token| {
            let mut state = self.state();
            state.token = token;
            match &state.stream {
                Some(stream) => reactor.add(stream.as_fd(), token, Interest::Read),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        })
    }

    /// Sends an answer that took its time.
    fn push(&self, answer: &[u8]) {
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
            Ok(false) => self
                .host
                .reactor
                .arm(stream.as_fd(), *token, Interest::Write),
            Err(Broken::Closed) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = armed {
            log::debug!("an administrator has gone: {error}");
        }
    }

    /// The answer to a start, after which the connection goes on.
    fn started(self: &Arc<Self>, answer: &[u8]) {
        let mut state = self.state();
        state.starting = false;
        state.duplex.out.extend_from_slice(answer);
        let token = state.token;
        self.go_on(state, token);
    }

    fn go_on(self: &Arc<Self>, mut state: MutexGuard<'_, State>, token: Token) {
        if let Err(broken) = self.step(&mut state, token) {
            if !matches!(broken, Broken::Closed) {
                log::warn!("an administrator's connection ended: {broken}");
            }
            state.stream = None;
            state.descriptors.clear();
            drop(state);
            self.host.reactor.forget(token);
        }
    }

    fn step(self: &Arc<Self>, state: &mut State, token: Token) -> Result<(), Broken> {
        let State {
            stream: Some(stream),
            duplex,
            descriptors,
            starting,
            ..
        } = state
        else {
            return Err(Broken::Closed);
        };
        let mut last = Read::Full;
        loop {
            if !duplex.flush(&*stream)? {
                return Ok(self
                    .host
                    .reactor
                    .arm(stream.as_fd(), token, Interest::Write)?);
            }
            if *starting {
                return Ok(());
            }
            let answered = duplex.answer_next(|header, body, out| {
                let came = Came {
                    descriptors: &mut *descriptors,
                    starting: &mut *starting,
                };
                self.answer(header, body, came, out);
            })?;
            if answered {
                continue;
            }
            if last != Read::Full {
                return Ok(self
                    .host
                    .reactor
                    .arm(stream.as_fd(), token, Interest::Read)?);
            }
            let space = duplex.inbox.space();
            let asked = space.len();
            let result = receive(stream, space, descriptors);
            last = duplex.filled(result, asked)?;
        }
    }

    fn answer(
        self: &Arc<Self>,
        header: RequestHeader,
        body: &[u8],
        came: Came<'_>,
        out: &mut Vec<u8>,
    ) {
        let host = &*self.host;
        if header.op.starts_with("Guard.") {
            let answer = proto2::read(body)
                .map_err(Refused::from)
                .and_then(|request| guard_calls::guard(host, &self.peer, &header.op, &request));
            return write(out, header, answer);
        }
        if header.op.starts_with("Counters.") {
            let later = self.later(&header);
            let answer = proto2::read(body)
                .map_err(Refused::from)
                .and_then(|request| {
                    counter_calls::counters((host, &self.peer), &header.op, &request, later)
                });
            if let Some(answer) = answer.transpose() {
                write(out, header, answer);
            }
            return;
        }
        if header.op == "LinuxHost.Describe" {
            return rpc::write_response(out, header, &guard_calls::describe(host));
        }
        let answer = proto2::read(body)
            .map_err(Refused::from)
            .and_then(|request| self.administer(&header, request, came));
        if let Some(answer) = answer.transpose() {
            write(out, header, answer);
        }
    }

    /// Sends the answer to that request when it is known. An administrator who has gone needs
    /// none.
    fn later<M: Message + 'static>(
        self: &Arc<Self>,
        header: &RequestHeader,
    ) -> Box<dyn FnOnce(Result<M, Refused>) + Send> {
        let (connection, header) = (Arc::downgrade(self), header.clone());
        Box::new(move |answer| {
            if let Some(connection) = connection.upgrade() {
                let mut out = Vec::new();
                write(&mut out, header, answer);
                connection.push(&out);
            }
        })
    }

    /// The answer to one of the original's calls; none yet to a wait and a start.
    fn administer(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: AdminRequest,
        came: Came<'_>,
    ) -> Result<Option<AdminResponse>, Refused> {
        let host = &*self.host;
        let may = |operation| self.peer.require(host, operation);
        match header.op.strip_prefix("LinuxHost.") {
            Some("StartHostedProgram") => {
                let stdio = take_stdio(&request, came.descriptors)?;
                may("Start")?;
                self.start(header, request, stdio)?;
                *came.starting = true;
                Ok(None)
            }
            Some("ListHostedPrograms") => {
                may("List")?;
                Ok(Some(list(host, request.all.unwrap_or(false))))
            }
            Some("WaitHostedProgram") => {
                may("Wait")?;
                self.wait(header, &request)
            }
            Some("StopHostedProgram") => {
                may("Stop")?;
                signal(host, &request, Signal::SIGTERM).map(Some)
            }
            Some("KillHostedProgram") => {
                may("Kill")?;
                signal(host, &request, Signal::SIGKILL).map(Some)
            }
            Some("Signal") => pass_signal(host, &self.peer, &request).map(Some),
            Some("Output") => {
                may("List")?;
                output(host, &request).map(Some)
            }
            Some("HostName") => Ok(Some(AdminResponse {
                prin: Some(host.service.host_name().encode()),
                ..AdminResponse::default()
            })),
            Some("Shutdown") => {
                may("Shutdown")?;
                host.shut_down();
                Ok(Some(AdminResponse::default()))
            }
            _ => {
                let sentence = rpc::unknown_method(&header.op, rpc::ADMIN_SERVICE);
                Err(Refused::Unknown(sentence))
            }
        }
    }

    /// Has the program measured and started by other threads.
    fn start(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: AdminRequest,
        stdio: [Option<OwnedFd>; 3],
    ) -> Result<(), Refused> {
        let caller = self.caller.clone().map_err(Refused::Credentials)?;
        let (connection, header) = (Arc::clone(self), header.clone());
        let job = move || {
            let mut answer = Vec::new();
            let AdminConnection { host, peer, .. } = &*connection;
            let started = start(host, peer, &caller, &request, stdio);
            write(&mut answer, header, started.map_err(Refused::from));
            connection.started(&answer);
        };
        let measuring = &self.host.measuring;
        Ok(measuring.submit(self.peer.uid.as_raw(), Box::new(job))?)
    }

    /// The answer, or none yet.
    fn wait(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: &AdminRequest,
    ) -> Result<Option<AdminResponse>, Refused> {
        let subprin = request.subprin.as_deref().map(SubPrin::decode).transpose();
        let subprin = subprin.map_err(Refused::SubPrin)?;
        let pid = request.pid.ok_or(Refused::NoSuchProgram)?;
        let ended = |status| AdminResponse {
            status: Some(status),
            ..AdminResponse::default()
        };
        let later = self.later(header);
        let waiter: Waiter = Box::new(move |status| later(Ok(ended(status))));
        match self.host.programs.wait(pid, subprin.as_ref(), waiter) {
            Wait::Registered => Ok(None),
            Wait::Ended(status) => Ok(Some(ended(status))),
            Wait::Unknown => Err(Refused::NoSuchProgram),
        }
    }
}

impl Source for AdminConnection {
    fn ready(self: Arc<Self>, _reactor: &Arc<Reactor>, token: Token) {
        self.go_on(self.state(), token);
    }
}

fn write(out: &mut Vec<u8>, header: RequestHeader, answer: Result<impl Message, Refused>) {
    match answer {
        Ok(response) => rpc::write_response(out, header, &response),
        Err(error) => rpc::write_error(out, header, error.to_string()),
    }
}
