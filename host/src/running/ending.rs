//! The end of a program, and that of the host.

use std::{io, os::fd::AsFd as _, sync::Arc, time::Duration};

use crate::{
    connections::reactor::{Interest, Reactor, Source, Token},
    running::{
        program::{Program, Stage},
        programs::Programs,
    },
    start::{child_process::ChildProcess, spawn::Spawner},
};

/// How long programs may take to end when the host shuts down, as in the original.
const PATIENCE: Duration = Duration::from_secs(10);
/// Stack of the thread that waits for them.
const STACK: usize = 512 * 1024;

/// What is to be done when a program has ended.
pub(crate) struct Ending {
    pub program: Arc<Program>,
    pub programs: Arc<Programs>,
    pub spawner: Arc<Spawner>,
}

impl Ending {
    /// Has the reactor tell of the end.
    pub(crate) fn watch(self, reactor: &Reactor) -> io::Result<()> {
        let ending = Arc::new(self);
        reactor.admit(Arc::clone(&ending) as _, |token| {
            let process = &ending.program.process.program;
            reactor.add(process.pidfd.as_fd(), token, Interest::Read)
        })
    }
}

fn again(reactor: &Reactor, process: &ChildProcess, token: Token) {
    if let Err(error) = reactor.arm(process.pidfd.as_fd(), token, Interest::Read) {
        log::error!("process {} cannot be watched: {error}", process.pid);
    }
}

impl Source for Ending {
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token) {
        let Self {
            program,
            programs,
            spawner,
        } = &*self;
        let process = &program.process;
        let stage = program.reap();
        let status = match (stage, &process.init) {
            (Stage::Ended(status), _) => status,
            (Stage::Ending, Some(init)) => {
                program.channel.close(reactor);
                return again(reactor, init, token);
            }
            _ => return again(reactor, &process.program, token),
        };
        reactor.forget(token);
        program.channel.close(reactor);
        spawner.clean_up(process);
        for tell in programs.ended(program, status) {
            tell(status);
        }
    }
}

/// Ends all programs, then the host. Returns at once.
pub(crate) fn end_all(programs: &Arc<Programs>, reactor: &Arc<Reactor>) {
    let (programs, stopping) = (Arc::clone(programs), Arc::clone(reactor));
    let end = move || {
        programs.end_all(PATIENCE);
        stopping.stop();
    };
    let ending = std::thread::Builder::new().stack_size(STACK).spawn(end);
    if let Err(error) = ending {
        log::error!("no thread to wait for the programs' end: {error}");
        reactor.stop();
    }
}
