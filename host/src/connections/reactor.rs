//! Waits for all descriptors at once with a few threads.
//!
//! Every descriptor is armed for one event at a time (EPOLLONESHOT): the thread that gets
//! it does what can be done without waiting, then arms it again. A thousand idle programs
//! cost three descriptors each and no thread.
//!
//! What a descriptor belongs to is a [`Source`]. It knows what it needs besides: this knows no
//! kind of it.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};

use crate::error::HostError;

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
            Self::Read => EpollFlags::EPOLLIN,
            Self::Write => EpollFlags::EPOLLOUT,
        };
        EpollEvent::new(flags | EpollFlags::EPOLLONESHOT, token)
    }
}

/// What a descriptor belongs to.
pub(crate) trait Source: Send + Sync {
    /// Does what can be done now, and has the descriptor armed again or the token forgotten.
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token);
}

/// `None` once the host has ended.
type Sources = Option<HashMap<Token, Arc<dyn Source>>>;

/// Waits, and tells the sources.
pub(crate) struct Reactor {
    epoll: Epoll,
    sources: Mutex<Sources>,
    next: AtomicU64,
    stop: EventFd,
}

/// Token of the descriptor that ends all workers.
const STOP: Token = 0;

impl Reactor {
    pub(crate) fn new() -> Result<Self, HostError> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(HostError::system("epoll"))?;
        let stop =
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(HostError::system("eventfd"))?;
        epoll
            .add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))
            .map_err(HostError::system("epoll"))?;
        Ok(Self {
            epoll,
            sources: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(STOP + 1),
            stop,
        })
    }

    /// Whole entries are put in and taken out.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a source from now on of what `begin` has watched under its token.
    pub(crate) fn admit(
        &self,
        source: Arc<dyn Source>,
        begin: impl FnOnce(Token) -> io::Result<()>,
    ) -> io::Result<()> {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(sources) = self.sources().as_mut() {
            sources.insert(token, source);
        }
        begin(token).inspect_err(|_| self.forget(token))
    }

    fn source(&self, token: Token) -> Option<Arc<dyn Source>> {
        self.sources().as_ref()?.get(&token).cloned()
    }

    /// Nothing will be asked of the source any more.
    pub(crate) fn forget(&self, token: Token) {
        let source = self
            .sources()
            .as_mut()
            .and_then(|sources| sources.remove(&token));
        // Not while the lock is held.
        drop(source);
    }

    /// Watches a descriptor for one event.
    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(self.epoll.add(fd, interest.event(token))?)
    }

    /// Watches a descriptor for one more event.
    pub(crate) fn arm(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
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

    /// Tells the sources until the host stops.
    pub(crate) fn work(self: &Arc<Self>) {
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
            // Without one it was forgotten while the event was under way.
            if let Some(source) = self.source(token) {
                source.ready(self, token);
            }
            events = [EpollEvent::empty()];
        }
    }

    /// Starts the threads that do the same besides the one that calls [`Reactor::work`].
    pub(crate) fn start_others(self: &Arc<Self>) -> Result<Vec<JoinHandle<()>>, HostError> {
        // One that is not known is one.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Two at least in all: one may be proving what a guard says.
        let others = 1..processors.clamp(2, MOST_WORKERS);
        let start = |number: usize| {
            let reactor = Arc::clone(self);
            std::thread::Builder::new()
                .name(format!("tao-{number}"))
                .stack_size(STACK)
                .spawn(move || reactor.work())
                .map_err(HostError::system("start a thread"))
        };
        others.map(start).collect()
    }

    /// Has all workers return.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.stop.write(1) {
            log::error!("the host cannot be stopped: {error}");
        }
    }

    /// Gives all sources up, and takes no more. They go with the host, whoever still holds a part
    /// of it; and with them goes what they hold of the host.
    pub(crate) fn close(&self) {
        let sources = self.sources().take();
        drop(sources);
    }
}
