//! One connection, shared by threads.
//!
//! Whoever waits for an answer reads for everybody: the first waiting thread takes the
//! reader, hands answers that are not its own to the others, and leaves the reader to
//! another when it has its own. So calls of several threads overlap, and a single thread
//! pays for nothing.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use prost::Message;

use super::CallError;
use crate::wire::{
    Inbox,
    messages::{ResponseHeader, TaoRequest, TaoResponse},
    proto2, rpc,
};

type Answer = Result<TaoResponse, CallError>;

struct Incoming {
    stream: Box<dyn Read + Send>,
    inbox: Inbox,
}

#[derive(Default)]
struct Waiting {
    /// `None` while a thread is reading.
    incoming: Option<Incoming>,
    /// Calls under way; their answers once they have come.
    calls: HashMap<u64, Option<Answer>>,
    /// Why no call will ever be answered again.
    broken: Option<CallError>,
}

pub(super) struct Connection {
    outgoing: Mutex<Box<dyn Write + Send>>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    next: AtomicU64,
}

/// A thread that panicked while holding the lock has left nothing half-done: each update
/// below is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(incoming: &mut Incoming) -> Result<(u64, Answer), CallError> {
    let broken = |error: String| CallError::Channel(error);
    loop {
        let message = incoming
            .inbox
            .next_message()
            .map_err(|error| broken(error.to_string()))?;
        if let Some(message) = message {
            let (header, body) = incoming.inbox.parts(&message);
            let header: ResponseHeader =
                proto2::read(header).map_err(|error| CallError::Response(error.to_string()))?;
            let answer = match header.error {
                Some(error) => Err(CallError::Refused(error)),
                None => TaoResponse::decode(body)
                    .map_err(|error| CallError::Response(error.to_string())),
            };
            return Ok((header.seq, answer));
        }
        match incoming.stream.read(incoming.inbox.space()) {
            Ok(0) => return Err(broken("the host closed it".to_owned())),
            Ok(count) => incoming.inbox.filled(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error.to_string())),
        }
    }
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Read + Send>, outgoing: Box<dyn Write + Send>) -> Self {
        let incoming = Some(Incoming {
            stream,
            inbox: Inbox::default(),
        });
        Connection {
            outgoing: Mutex::new(outgoing),
            waiting: Mutex::new(Waiting {
                incoming,
                ..Waiting::default()
            }),
            changed: Condvar::new(),
            next: AtomicU64::new(0),
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn call(&self, op: &str, request: &TaoRequest) -> Answer {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        rpc::write_request(&mut bytes, op, seq, request);
        {
            let mut waiting = lock(&self.waiting);
            if let Some(error) = &waiting.broken {
                return Err(error.clone());
            }
            waiting.calls.insert(seq, None);
        }
        if let Err(error) = lock(&self.outgoing).write_all(&bytes) {
            let error = CallError::Channel(error.to_string());
            lock(&self.waiting).broken.get_or_insert(error);
            self.changed.notify_all();
        }
        self.answer(seq)
    }

    fn answer(&self, seq: u64) -> Answer {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(Some(_)) = waiting.calls.get(&seq)
                && let Some(Some(answer)) = waiting.calls.remove(&seq)
            {
                return answer;
            }
            if let Some(error) = &waiting.broken {
                return Err(error.clone());
            }
            let Some(mut incoming) = waiting.incoming.take() else {
                waiting = self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(waiting);
            let received = receive(&mut incoming);
            waiting = lock(&self.waiting);
            waiting.incoming = Some(incoming);
            match received {
                Ok((seq, answer)) => match waiting.calls.get_mut(&seq) {
                    Some(slot @ None) => *slot = Some(answer),
                    _ => {
                        let text = format!("an answer to call {seq}, which nobody made");
                        waiting.broken = Some(CallError::Response(text));
                    }
                },
                Err(error) => waiting.broken = Some(error),
            }
            self.changed.notify_all();
        }
    }
}
