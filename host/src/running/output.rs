//! What a program in the background writes: the last of it is kept, for `tao logs`.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::connections::reactor::{Interest, Reactor, Source, Token};

/// How much is kept of each program's output.
const KEPT: usize = 32 * 1024;
/// Reads before others get their turn.
const BATCH: usize = 8;

struct State {
    /// `None` once nobody can write any more.
    pipe: Option<File>,
    last: VecDeque<u8>,
    /// How much was written in all.
    written: u64,
}

/// A program's output.
pub(crate) struct Output(Mutex<State>);

impl Output {
    /// `pipe` does not block.
    pub(crate) fn new(pipe: File) -> Self {
        Self(Mutex::new(State {
            pipe: Some(pipe),
            last: VecDeque::new(),
            written: 0,
        }))
    }

    /// Only bytes are held: they are in order after any panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reactor tell when something was written.
    pub(crate) fn watch(self: &Arc<Self>, reactor: &Reactor) -> io::Result<()> {
        reactor.admit(Arc::clone(self) as _, |token| match &self.state().pipe {
            Some(pipe) => reactor.add(pipe.as_fd(), token, Interest::Read),
            None => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// The last of what was written so far, and how much that is in all.
    pub(crate) fn last(&self) -> (Vec<u8>, u64) {
        self.read();
        let state = self.state();
        (state.last.iter().copied().collect(), state.written)
    }

    /// Reads what is there; false if there will be nothing more.
    fn read(&self) -> bool {
        let mut state = self.state();
        let State {
            pipe,
            last,
            written,
        } = &mut *state;
        let mut buffer = [0; 4096];
        for _ in 0..BATCH {
            let Some(open) = pipe else {
                return false;
            };
            match open.read(&mut buffer) {
                Ok(0) => *pipe = None,
                Ok(count) => {
                    last.extend(buffer.iter().take(count));
                    // 2^64 bytes are not written in a machine's life.
                    *written = written.saturating_add(count as u64);
                    let excess = last.len().saturating_sub(KEPT);
                    last.drain(..excess);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => *pipe = None,
            }
        }
        pipe.is_some()
    }
}

impl Source for Output {
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token) {
        let more = self.read();
        let state = self.state();
        let armed = match &state.pipe {
            Some(pipe) if more => reactor.arm(pipe.as_fd(), token, Interest::Read).is_ok(),
            _ => false,
        };
        drop(state);
        if !armed {
            reactor.forget(token);
        }
    }
}
