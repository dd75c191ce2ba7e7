//! The connection of one hosted program, over its two pipes.

use std::{
    fs::File,
    io::Read as _,
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    connection::{Broken, Duplex, Read},
    reactor::{Host, Interest, Token},
    service::Caller,
};

/// Requests answered before another connection gets its turn.
const BATCH: usize = 32;

struct Pipes {
    requests: File,
    responses: File,
}

struct State {
    /// `None` once the session has ended.
    pipes: Option<Pipes>,
    token: Token,
    duplex: Duplex,
}

/// A hosted program's connection.
pub(super) struct Session {
    caller: Caller,
    state: Mutex<State>,
}

impl Session {
    pub(super) fn new(caller: Caller, requests: File, responses: File) -> Self {
        let state = State {
            pipes: Some(Pipes {
                requests,
                responses,
            }),
            token: 0,
            duplex: Duplex::default(),
        };
        Session {
            caller,
            state: Mutex::new(state),
        }
    }

    /// A worker that panicked has left the buffers of this one connection in some state
    /// that is still only bytes; the peer sees at worst a malformed frame.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reactor tell when the program says something.
    pub(super) fn register(&self, host: &Host, token: Token) -> std::io::Result<()> {
        let mut state = self.state();
        state.token = token;
        match &state.pipes {
            Some(pipes) => host.add(pipes.requests.as_fd(), token, Interest::Read),
            None => Ok(()),
        }
    }

    /// Ends the session: whoever else holds the program's ends of the pipes (a child it
    /// left behind) speaks for nobody any more.
    pub(super) fn close(&self, host: &Host) {
        let mut state = self.state();
        state.pipes = None;
        let token = state.token;
        drop(state);
        host.forget(token);
    }

    /// Does what can be done now. An error means that the session is over.
    pub(super) fn drive(&self, host: &Host, token: Token) {
        let mut state = self.state();
        let result = self.step(&mut state, host, token);
        if let Err(broken) = result {
            if !matches!(broken, Broken::Closed) {
                log::warn!("{}: connection ended: {broken}", self.caller.subprin);
            }
            *state = State {
                pipes: None,
                token,
                duplex: Duplex::default(),
            };
            drop(state);
            host.forget(token);
        }
    }

    fn step(&self, state: &mut State, host: &Host, token: Token) -> Result<(), Broken> {
        let State {
            pipes: Some(pipes),
            duplex,
            ..
        } = state
        else {
            return Err(Broken::Closed);
        };
        let mut last = Read::Full;
        for _ in 0..BATCH {
            if !duplex.flush(&pipes.responses)? {
                return Ok(host.arm(pipes.responses.as_fd(), token, Interest::Write)?);
            }
            let answered = duplex.answer_next(|header, body, out| {
                host.service.answer(&self.caller, header, body, out);
            })?;
            if answered {
                continue;
            }
            if last != Read::Full {
                return Ok(host.arm(pipes.requests.as_fd(), token, Interest::Read)?);
            }
            let space = duplex.inbox.space();
            let asked = space.len();
            let result = (&pipes.requests).read(space);
            last = duplex.filled(result, asked)?;
        }
        // Others first. The pipe for answers can take more soon: that brings us back.
        Ok(host.arm(pipes.responses.as_fd(), token, Interest::Write)?)
    }
}
