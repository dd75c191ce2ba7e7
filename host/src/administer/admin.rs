//! An administrator's connection: what is received and sent, and whom it is handed to.

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

use tao::wire::{messages::RequestHeader, proto2, rpc, user_messages::UsersResponse};

use crate::{
    administer::{
        administrator::Peer, counter_calls, error::Refused, guard_calls, host::Host,
        receiving::receive,
    },
    connections::{
        connection::{Broken, Duplex, Read},
        reactor::{Interest, Reactor, Source, Token},
    },
    measure::credentials::Credentials,
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
pub(super) struct Came<'a> {
    pub descriptors: &'a mut VecDeque<OwnedFd>,
    pub starting: &'a mut bool,
}

/// An administrator's connection.
pub(crate) struct AdminConnection {
    pub(super) peer: Peer,
    /// The rights of who is there, or why they are not known.
    pub(super) caller: Result<Credentials, Arc<io::Error>>,
    pub(super) host: Arc<Host>,
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
        Self {
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
    pub(super) fn push(&self, answer: &[u8]) {
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
            log::debug!("an administrator has disconnected: {error}");
        }
    }

    /// The answer to a start, after which the connection goes on.
    pub(super) fn started(self: &Arc<Self>, answer: &[u8]) {
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
        if header.op.starts_with("Users.") {
            let submitted = proto2::read(body)
                .map_err(Refused::from)
                .and_then(|request| self.users(&header, &request));
            if let Err(error) = submitted {
                write(out, header, Err::<UsersResponse, _>(error));
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
}

impl Source for AdminConnection {
    fn ready(self: Arc<Self>, _reactor: &Arc<Reactor>, token: Token) {
        self.go_on(self.state(), token);
    }
}

/// Appends an answer, or why there is none.
pub(super) fn write(
    out: &mut Vec<u8>,
    header: RequestHeader,
    answer: Result<impl Message, Refused>,
) {
    match answer {
        Ok(response) => rpc::write_response(out, header, &response),
        Err(error) => rpc::write_error(out, header, error.to_string()),
    }
}
