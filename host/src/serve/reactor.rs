//! Waits for all descriptors at once with a few threads.
//!
//! Every descriptor is armed for one event at a time (EPOLLONESHOT): the thread that gets
//! it does what can be done without waiting, then arms it again. A thousand idle programs
//! cost three descriptors each and no thread.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};

use crate::{
    HostError, Identity, TaoService,
    administer::{admin::AdminConnection, admin_socket::Listener, host_guard::HostGuard},
    counters::store::CounterStore,
    measure::measuring::{self, Measuring},
    running::{
        output::Output,
        programs::{Channel, Program, Programs},
    },
    serve::{program_socket::ProgramSocket, session::Session},
    start::spawn::Spawner,
};

/// Stack of a worker. The deepest thing on it is reading a statement of the greatest depth.
const STACK: usize = 512 * 1024;
/// More threads than this gain nothing: the work is computation.
const MOST_WORKERS: usize = 4;

/// Names a source of events.
pub(crate) type Token = u64;

/// What to be told about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interest {
    /// Something can be read.
    Read,
    /// Something can be written.
    Write,
}

impl Interest {
    fn event(self, token: Token) -> EpollEvent {
        let flags = match self {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::Write => EpollFlags::EPOLLOUT,
        };
        EpollEvent::new(flags | EpollFlags::EPOLLONESHOT, token)
    }
}

#[derive(Clone)]
enum Source {
    Listener(Arc<Listener>),
    Admin(Arc<AdminConnection>),
    Session(Arc<Session>),
    Socket(Arc<ProgramSocket>),
    End(Arc<Program>),
    Output(Arc<Output>),
}

/// The host at work.
pub(crate) struct Host {
    pub service: TaoService,
    pub counters: Arc<CounterStore>,
    pub guard: HostGuard,
    pub identity: Arc<Identity>,
    pub spawner: Spawner,
    /// Where sockets are.
    pub socket_dir: PathBuf,
    pub programs: Programs,
    /// Who measures and starts programs.
    pub measuring: Measuring,
    epoll: Epoll,
    sources: Mutex<HashMap<Token, Source>>,
    next: AtomicU64,
    pub stopping: AtomicBool,
    pub stop: EventFd,
}

/// What a host is made of.
pub(crate) struct Parts {
    pub identity: Arc<Identity>,
    pub counters: Arc<CounterStore>,
    pub guard: HostGuard,
    pub spawner: Spawner,
    pub socket_dir: PathBuf,
}

/// Token of the descriptor that ends all workers.
const STOP: Token = 0;

impl Host {
    pub(crate) fn new(parts: Parts) -> Result<Self, HostError> {
        let Parts {
            identity,
            counters,
            guard,
            spawner,
            socket_dir,
        } = parts;
        let service = TaoService::new(Arc::clone(&identity), Arc::clone(&counters));
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(HostError::system("epoll"))?;
        let stop =
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(HostError::system("eventfd"))?;
        epoll
            .add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))
            .map_err(HostError::system("epoll"))?;
        Ok(Host {
            service,
            counters,
            guard,
            identity,
            spawner,
            socket_dir,
            programs: Programs::default(),
            measuring: Measuring::default(),
            epoll,
            sources: Mutex::default(),
            next: AtomicU64::new(STOP + 1),
            stopping: AtomicBool::new(false),
            stop,
        })
    }

    fn remember(&self, source: Source) -> Token {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, source);
        token
    }

    fn source(&self, token: Token) -> Option<Source> {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token)
            .cloned()
    }

    /// Nothing will be asked of the source any more.
    pub(crate) fn forget(&self, token: Token) {
        let source = self
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&token);
        drop(source);
    }

    /// Watches a descriptor for one event.
    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> std::io::Result<()> {
        Ok(self.epoll.add(fd, interest.event(token))?)
    }

    /// Watches a descriptor for one more event.
    pub(crate) fn arm(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> std::io::Result<()> {
        match self.epoll.modify(fd, &mut interest.event(token)) {
            // The pipe for answers is watched from the first time that it is full.
            Err(Errno::ENOENT) => self.add(fd, token, interest),
            other => Ok(other?),
        }
    }

    /// Waits until something can be read from `fd`; false if something else happened first.
    pub(crate) fn wait_beside(&self, fd: BorrowedFd<'_>) -> bool {
        let mut both = [
            PollFd::new(fd, PollFlags::POLLIN),
            PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN),
        ];
        let waited = poll(&mut both, PollTimeout::NONE);
        let [ours, others] = &both;
        let happened = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        waited.is_ok() && happened(ours) && !happened(others)
    }

    /// Accepts administrators.
    pub(crate) fn listen(&self, listener: Listener) -> Result<(), HostError> {
        let listener = Arc::new(listener);
        let token = self.remember(Source::Listener(Arc::clone(&listener)));
        self.add(listener.as_fd(), token, Interest::Read)
            .map_err(HostError::system("epoll"))
    }

    /// Serves an administrator.
    pub(crate) fn admit(&self, connection: Arc<AdminConnection>) {
        let token = self.remember(Source::Admin(Arc::clone(&connection)));
        if let Err(error) = connection.register(self, token) {
            log::warn!("an administrator's connection: {error}");
            self.forget(token);
        }
    }

    /// Serves one more connection of a program.
    pub(crate) fn join(&self, session: &Arc<Session>) -> std::io::Result<()> {
        let token = self.remember(Source::Session(Arc::clone(session)));
        session
            .register(self, token)
            .inspect_err(|_| self.forget(token))
    }

    /// Serves a program and watches for its end.
    pub(crate) fn host(&self, program: &Arc<Program>) -> std::io::Result<()> {
        let end = self.remember(Source::End(Arc::clone(program)));
        let source = match &program.channel {
            Channel::Pipes(session) => Source::Session(Arc::clone(session)),
            Channel::Socket(socket) => Source::Socket(Arc::clone(socket)),
        };
        let channel = self.remember(source);
        if let Some(output) = &program.output {
            let token = self.remember(Source::Output(Arc::clone(output)));
            if let Err(error) = output.register(self, token) {
                log::warn!("process {}: its output is lost: {error}", program.pid);
                self.forget(token);
            }
        }
        self.add(program.process.program.pidfd.as_fd(), end, Interest::Read)
            .and_then(|()| match &program.channel {
                Channel::Pipes(session) => session.register(self, channel),
                Channel::Socket(socket) => socket.register(self, channel),
            })
            .inspect_err(|_| {
                self.forget(end);
                self.forget(channel);
            })
    }

    fn work(self: &Arc<Self>) {
        let mut events = [EpollEvent::empty()];
        loop {
            match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => {
                    log::error!("the Tao host stops: epoll: {error}");
                    return;
                }
            }
            let [event] = &events;
            let token = event.data();
            if token == STOP && event.events().contains(EpollFlags::EPOLLIN) {
                return;
            }
            match self.source(token) {
                Some(Source::Session(session)) => session.drive(self, token),
                Some(Source::Socket(socket)) => socket.accept(self, token),
                Some(Source::Admin(connection)) => connection.drive(self, token),
                Some(Source::Output(output)) => output.drive(self, token),
                Some(Source::End(program)) => self.program_event(&program, token),
                Some(Source::Listener(listener)) => listener.accept(self, token),
                // Forgotten while the event was under way.
                None => {}
            }
            events = [EpollEvent::empty()];
        }
    }
}

/// Works until the host is shut down.
pub(crate) fn run(host: &Arc<Host>) -> Result<(), HostError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::new();
    // Two at least: one may be proving what a guard says.
    for number in 1..processors.clamp(2, MOST_WORKERS) {
        let host = Arc::clone(host);
        let worker = std::thread::Builder::new()
            .name(format!("tao-{number}"))
            .stack_size(STACK)
            .spawn(move || host.work())
            .map_err(HostError::system("start a thread"))?;
        workers.push(worker);
    }
    workers.push(host.counters.start()?);
    measuring::start(host)?;
    host.work();
    host.measuring.close();
    host.counters.close();
    for worker in workers {
        if worker.join().is_err() {
            log::error!("a thread of the Tao host panicked");
        }
    }
    // The socket goes with the host, whoever still holds a part of it.
    host.sources
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
    Ok(())
}
