//! A program that runs.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use nix::unistd::Uid;
use tao::logic::SubPrin;

use crate::{
    calls::caller::Caller,
    confine::users::UserLease,
    connections::{program_socket::ProgramSocket, reactor::Reactor, session::Session},
    running::output::Output,
    start::hosted_process::HostedProcess,
};

/// How a program reaches the host.
#[derive(Clone)]
pub(crate) enum Channel {
    /// Over the two pipes that it was started with.
    Pipes(Arc<Session>),
    /// Over connections to a socket of its own.
    Socket(Arc<ProgramSocket>),
}

impl Channel {
    /// Has the reactor tell when the program says something.
    pub(crate) fn watch(&self, reactor: &Reactor) -> io::Result<()> {
        match self {
            Self::Pipes(session) => session.watch(reactor),
            Self::Socket(socket) => socket.watch(reactor),
        }
    }

    /// Nobody speaks for the program any more.
    pub(crate) fn close(&self, reactor: &Reactor) {
        match self {
            Self::Pipes(session) => session.close(reactor),
            Self::Socket(socket) => socket.close(reactor),
        }
    }
}

/// A running program.
pub(crate) struct Program {
    pub pid: i32,
    pub process: HostedProcess,
    pub caller: Arc<Caller>,
    pub channel: Channel,
    /// What it writes, if the host keeps it.
    pub output: Option<Arc<Output>>,
    /// Who had it started.
    pub owner: Uid,
    /// Its user, if that is its own, is not deleted before it has ended.
    user: Mutex<Option<UserLease>>,
    /// How it ended, while what it has left behind has not.
    status: Mutex<Option<i32>>,
}

impl Program {
    pub(crate) fn new(
        process: HostedProcess,
        caller: Arc<Caller>,
        channel: Channel,
        output: Option<Arc<Output>>,
        owner: Uid,
        user: Option<UserLease>,
    ) -> Self {
        Self {
            pid: process.program.pid,
            process,
            caller,
            channel,
            output,
            owner,
            user: Mutex::new(user),
            status: Mutex::default(),
        }
    }

    /// The name under which it was started.
    pub(crate) fn started_as(&self) -> &SubPrin {
        self.caller.started_as()
    }

    /// Nothing runs as its user any more.
    pub(crate) fn let_go_of_user(&self) {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        drop(user.take());
    }

    /// Takes the status from the system if the program has ended, as wait(2) gives it. Then
    /// what it has left behind is ended too.
    pub(crate) fn reap(&self) -> Stage {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = |error: io::Error| {
            log::error!("process {}: its status is lost: {error}", self.pid);
            Some(-1)
        };
        if status.is_none() {
            *status = self.process.status().unwrap_or_else(lost);
            if status.is_some() {
                self.process.end_set();
            }
        }
        let Some(status) = *status else {
            return Stage::Runs;
        };
        match self.process.set_ended() {
            Ok(false) => Stage::Ending,
            Ok(true) => Stage::Ended(status),
            Err(error) => {
                log::error!("process {}: its set of processes: {error}", self.pid);
                Stage::Ended(status)
            }
        }
    }
}

/// How far a program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It runs.
    Runs,
    /// It has ended; what it left behind has not yet.
    Ending,
    /// Nothing is left. The status, as wait(2) gives it.
    Ended(i32),
}
