//! One connection, shared by threads.
//!
//! Whoever waits for an answer reads for everybody: the first waiting thread takes the
//! reader, hands answers that are not its own to the others, and leaves the reader to
//! another when it has its own. So calls of several threads overlap, a single thread
//! pays for nothing, and an answer wakes nobody but the thread it is for.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::Thread,
};

use prost::Message;

use super::error::CallError;
use crate::{
    keys::wipe,
    wire::{
        Inbox,
        buffers::{self, LARGE},
        messages::{ResponseHeader, TaoRequest, TaoResponse},
        proto2, rpc,
    },
};

type Answer = Result<TaoResponse, CallError>;

struct Incoming {
    stream: Box<dyn Read + Send>,
    inbox: Inbox,
}

struct Outgoing {
    stream: Box<dyn Write + Send>,
    /// The request that is being sent.
    request: Vec<u8>,
}

/// A call under way.
enum Waiter {
    /// Its thread has not begun to wait yet, or is reading.
    Busy,
    /// Its thread sleeps.
    Asleep(Thread),
    /// Its answer has come.
    Answered(Answer),
}

#[derive(Default)]
struct Waiting {
    /// `None` while a thread is reading.
    incoming: Option<Incoming>,
    calls: HashMap<u64, Waiter>,
    /// Why no call will ever be answered again.
    broken: Option<CallError>,
}

impl Waiting {
    /// Hands out an answer.
    fn answered(&mut self, seq: u64, answer: Answer) {
        match self.calls.get_mut(&seq) {
            None | Some(Waiter::Answered(_)) => {
                let text = format!("an answer to call {seq}, which nobody made");
                self.fail(CallError::Response(text));
            }
            Some(waiter) => {
                if let Waiter::Asleep(thread) = std::mem::replace(waiter, Waiter::Answered(answer))
                {
                    thread.unpark();
                }
            }
        }
    }

    /// No call will be answered any more.
    fn fail(&mut self, error: CallError) {
        self.broken.get_or_insert(error);
        for waiter in self.calls.values_mut() {
            if let Waiter::Asleep(thread) = waiter {
                thread.unpark();
            }
        }
    }

    /// Somebody else reads from now on, if anybody waits.
    fn hand_over(&mut self) {
        let asleep = self.calls.values_mut().find_map(|waiter| match waiter {
            Waiter::Asleep(thread) => Some(thread),
            _ => None,
        });
        if let Some(thread) = asleep {
            thread.unpark();
        }
    }
}

pub(super) struct Connection {
    outgoing: Mutex<Outgoing>,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
}

/// A thread that panicked while holding the lock has left nothing half-done: each update
/// below is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outgoing {
    fn send(
        &mut self,
        op: &str,
        seq: u64,
        data: Option<&[u8]>,
        request: &TaoRequest,
    ) -> Result<(), CallError> {
        rpc::write_tao_request(&mut self.request, op, seq, data, request)
            .map_err(|error| CallError::Argument(error.to_string()))?;
        let sent = self.stream.write_all(&self.request);
        wipe(&mut self.request);
        self.request.clear();
        if self.request.capacity() > LARGE {
            buffers::give(std::mem::take(&mut self.request));
        }
        sent.map_err(|error| CallError::Channel(error.to_string()))
    }
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
        Self {
            outgoing: Mutex::new(Outgoing {
                stream: outgoing,
                request: Vec::new(),
            }),
            waiting: Mutex::new(Waiting {
                incoming,
                ..Waiting::default()
            }),
            next: AtomicU64::new(0),
        }
    }

    /// Sends a request and waits for its answer. The request's data are given apart.
    pub(super) fn call(&self, op: &str, data: Option<&[u8]>, request: &TaoRequest) -> Answer {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = lock(&self.waiting);
            if let Some(error) = &waiting.broken {
                return Err(error.clone());
            }
            waiting.calls.insert(seq, Waiter::Busy);
        }
        let sent = lock(&self.outgoing).send(op, seq, data, request);
        match sent {
            Ok(()) => {}
            // Nothing was sent: the channel is as good as before.
            Err(error @ CallError::Argument(_)) => {
                lock(&self.waiting).calls.remove(&seq);
                return Err(error);
            }
            Err(error) => lock(&self.waiting).fail(error),
        }
        self.answer(seq)
    }

    fn answer(&self, seq: u64) -> Answer {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(Waiter::Answered(_)) = waiting.calls.get(&seq) {
                if waiting.incoming.is_some() {
                    waiting.hand_over();
                }
                if let Some(Waiter::Answered(answer)) = waiting.calls.remove(&seq) {
                    return answer;
                }
            }
            if let Some(error) = waiting.broken.clone() {
                waiting.calls.remove(&seq);
                return Err(error);
            }
            let Some(mut incoming) = waiting.incoming.take() else {
                waiting
                    .calls
                    .insert(seq, Waiter::Asleep(std::thread::current()));
                drop(waiting);
                // It may also be woken for nothing, or to read.
                std::thread::park();
                waiting = lock(&self.waiting);
                if let Some(waiter @ Waiter::Asleep(_)) = waiting.calls.get_mut(&seq) {
                    *waiter = Waiter::Busy;
                }
                continue;
            };
            drop(waiting);
            let received = receive(&mut incoming);
            waiting = lock(&self.waiting);
            waiting.incoming = Some(incoming);
            match received {
                Ok((seq, answer)) => waiting.answered(seq, answer),
                Err(error) => waiting.fail(error),
            }
        }
    }
}
