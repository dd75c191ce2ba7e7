//! A connection of a hosted program, over its two pipes or over a socket.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    calls::{
        caller::Caller,
        service::{Deferred, TaoService},
    },
    connections::{
        connection::{Broken, Duplex, Read},
        reactor::{Interest, Reactor, Source, Token},
    },
};

/// Requests answered before another connection gets its turn.
const BATCH: usize = 32;
/// Answers of one program that may wait for a counter to be stored; it is not asked for
/// more before one of them has come.
const MOST_DEFERRED: usize = 64;

struct Pipes {
    requests: Arc<File>,
    responses: File,
}

/// What a session waits for.
enum Next {
    /// The reactor has been told.
    Told,
    /// A request. The program was just answered, and may well ask again at once.
    Request(Arc<File>),
}

struct State {
    /// `None` once the session has ended.
    pipes: Option<Pipes>,
    token: Token,
    duplex: Duplex,
    deferred: usize,
}

impl State {
    /// Has the reactor tell of the next request.
    fn arm(&mut self, reactor: &Reactor, token: Token) -> Result<(), Broken> {
        match &self.pipes {
            Some(pipes) => Ok(reactor.arm(pipes.requests.as_fd(), token, Interest::Read)?),
            None => Err(Broken::Closed),
        }
    }
}

/// A hosted program's connection.
pub(crate) struct Session {
    caller: Arc<Caller>,
    service: Arc<TaoService>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(
        caller: Arc<Caller>,
        service: Arc<TaoService>,
        requests: File,
        responses: File,
    ) -> Self {
        let state = State {
            pipes: Some(Pipes {
                requests: Arc::new(requests),
                responses,
            }),
            token: 0,
            duplex: Duplex::default(),
            deferred: 0,
        };
        Self {
            caller,
            service,
            state: Mutex::new(state),
        }
    }

    /// A worker that panicked has left the buffers of this one connection in some state
    /// that is still only bytes; the peer sees at worst a malformed frame.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reactor tell when the program says something.
    pub(crate) fn watch(self: &Arc<Self>, reactor: &Reactor) -> io::Result<()> {
        let source = Arc::clone(self);
        reactor.admit(source, |token| {
            let mut state = self.state();
            state.token = token;
            match &state.pipes {
                Some(pipes) => reactor.add(pipes.requests.as_fd(), token, Interest::Read),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        })
    }

    /// Ends the session: whoever else holds the program's ends of the pipes (a child it
    /// left behind) speaks for nobody any more.
    pub(crate) fn close(&self, reactor: &Reactor) {
        let mut state = self.state();
        state.pipes = None;
        let token = state.token;
        drop(state);
        reactor.forget(token);
    }

    /// Has the reactor tell of the next request.
    fn arm(&self, reactor: &Reactor, token: Token) {
        let mut state = self.state();
        if let Err(broken) = state.arm(reactor, token) {
            self.end(&mut state, reactor, token, &broken);
        }
    }

    /// One turn of reading and answering. An error means that the session is over.
    fn turn(self: &Arc<Self>, reactor: &Arc<Reactor>, token: Token) -> Next {
        let mut state = self.state();
        let mut deferred = Vec::new();
        let next = self
            .step(&mut state, reactor, token, &mut deferred)
            .unwrap_or_else(|broken| {
                self.end(&mut state, reactor, token, &broken);
                Next::Told
            });
        drop(state);
        for call in deferred {
            self.defer(reactor, call);
        }
        next
    }

    fn end(&self, state: &mut State, reactor: &Reactor, token: Token, broken: &Broken) {
        if !matches!(broken, Broken::Closed) {
            let name = self.caller.started_as();
            log::warn!("{name}: connection ended: {broken}");
        }
        state.pipes = None;
        state.duplex = Duplex::default();
        reactor.forget(token);
    }

    /// Has a counter stored; the answer comes when it is.
    fn defer(self: &Arc<Self>, reactor: &Arc<Reactor>, call: Deferred) {
        let (session, reactor) = (Arc::downgrade(self), Arc::clone(reactor));
        self.service.store(call, move |answer| {
            // A program that has gone needs no answer.
            if let Some(session) = session.upgrade() {
                session.push(&reactor, answer);
            }
        });
    }

    /// Sends an answer that took its time, and goes on with what waited for it.
    fn push(self: &Arc<Self>, reactor: &Arc<Reactor>, answer: &[u8]) {
        let mut state = self.state();
        state.duplex.out.extend_from_slice(answer);
        state.deferred = state.deferred.saturating_sub(1);
        let token = state.token;
        drop(state);
        // Not on this thread, which has other answers to send, but by the reactor.
        if let Next::Request(_) = self.turn(reactor, token) {
            self.arm(reactor, token);
        }
    }

    fn step(
        &self,
        state: &mut State,
        reactor: &Reactor,
        token: Token,
        later: &mut Vec<Deferred>,
    ) -> Result<Next, Broken> {
        let State {
            pipes: Some(pipes),
            duplex,
            deferred,
            ..
        } = state
        else {
            return Err(Broken::Closed);
        };
        let mut last = Read::Full;
        let already = *deferred;
        let mut turns = 0_usize;
        while turns < BATCH {
            if !duplex.flush(&pipes.responses)? {
                reactor.arm(pipes.responses.as_fd(), token, Interest::Write)?;
                return Ok(Next::Told);
            }
            if *deferred >= MOST_DEFERRED {
                return Ok(Next::Told);
            }
            let answered = duplex.answer_next(|header, body, out| {
                later.extend(self.service.answer(&self.caller, header, body, out));
            })?;
            *deferred = already.saturating_add(later.len());
            if answered {
                turns = turns.saturating_add(1);
                continue;
            }
            if last != Read::Full {
                if turns > 0 && *deferred == 0 {
                    return Ok(Next::Request(Arc::clone(&pipes.requests)));
                }
                reactor.arm(pipes.requests.as_fd(), token, Interest::Read)?;
                return Ok(Next::Told);
            }
            let space = duplex.inbox.space();
            let asked = space.len();
            let result = (&*pipes.requests).read(space);
            last = duplex.filled(result, asked)?;
        }
        // Others first. The pipe for answers can take more soon: that brings us back.
        reactor.arm(pipes.responses.as_fd(), token, Interest::Write)?;
        Ok(Next::Told)
    }
}

impl Source for Session {
    /// Goes on for as long as the program asks again before anything else happens.
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token) {
        while let Next::Request(requests) = self.turn(reactor, token) {
            // Being woken by the program itself costs half of being woken by the reactor, and
            // on a busy machine much less: it runs next on the processor that the program
            // leaves.
            if !reactor.wait_beside(requests.as_fd()) {
                return self.arm(reactor, token);
            }
        }
    }
}
