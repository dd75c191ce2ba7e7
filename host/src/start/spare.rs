//! A set of processes, and a control group, that wait for the next program: they are made after
//! a start, when nobody waits for them. To make them takes as long as all the rest of a start.

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    confine::{cgroup::Groups, confinements::Confinements, places::Places},
    start::process_set::ProcessSet,
};

struct Maker {
    confinements: Confinements,
    places: Places,
    program: OwnedFd,
    spared: bool,
    /// Makes groups ahead too.
    groups: Option<Arc<Groups>>,
    spare: Mutex<Option<ProcessSet>>,
}

impl Maker {
    fn make(&self) -> io::Result<ProcessSet> {
        ProcessSet::new(&self.confinements, &self.places, &self.program, self.spared)
    }

    /// It is a whole set or none.
    fn spare(&self) -> MutexGuard<'_, Option<ProcessSet>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that makes the sets.
fn work(maker: &Maker, mut orders: PipeReader) -> io::Result<()> {
    loop {
        // Where no descriptor is free for it, its end is noticed when it is to be used.
        let waits = maker.spare().as_ref().and_then(|set| set.told().ok());
        let mut ready = vec![PollFd::new(orders.as_fd(), PollFlags::POLLIN)];
        let waits = waits.as_ref().map(AsFd::as_fd);
        ready.extend(waits.map(|ended| PollFd::new(ended, PollFlags::POLLIN)));
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let ordered = ready.first().and_then(PollFd::any).unwrap_or(true);
        // One that was ended from outside is waited for at once: who shuts the machine down
        // waits for it too.
        let mut spare = maker.spare();
        if spare
            .as_ref()
            .is_some_and(|set| set.has_ended().unwrap_or(true))
        {
            *spare = None;
        }
        drop(spare);
        if !ordered {
            continue;
        }
        if orders.read(&mut [0; 64])? == 0 {
            return Ok(());
        }
        // The next start tries for itself, and says why it cannot.
        let why_not = |error: io::Error| log::debug!("no set of processes ahead: {error}");
        if maker.spare().is_none() {
            match maker.make() {
                Ok(set) => *maker.spare() = Some(set),
                Err(error) => why_not(error),
            }
        }
        if let Some(groups) = &maker.groups {
            groups.prepare().unwrap_or_else(why_not);
        }
    }
}

/// Makes sets, one ahead.
pub(crate) struct Sets {
    maker: Arc<Maker>,
    /// A byte orders the next; the thread that makes it ends with this. `None` if there is no
    /// such thread: then each is made when it is needed.
    orders: Option<PipeWriter>,
}

impl Sets {
    /// `program` and `spared` are those of [`ProcessSet::new`].
    pub(crate) fn new(
        confinements: Confinements,
        places: Places,
        program: OwnedFd,
        spared: bool,
        groups: Option<Arc<Groups>>,
    ) -> Self {
        let maker = Arc::new(Maker {
            confinements,
            places,
            program,
            spared,
            groups,
            spare: Mutex::default(),
        });
        let started = start(Arc::clone(&maker));
        if let Err(error) = &started {
            log::debug!("no sets of processes ahead: {error}");
        }
        Self {
            maker,
            orders: started.ok(),
        }
    }

    /// One that fits the machine as it is now.
    pub(crate) fn take(&self) -> io::Result<ProcessSet> {
        let spare = self.maker.spare().take();
        match spare {
            Some(set) if set.is_good()? => Ok(set),
            // The old one ends first.
            Some(old) => {
                drop(old);
                self.maker.make()
            }
            None => self.maker.make(),
        }
    }

    /// Orders the next.
    pub(crate) fn prepare(&self) {
        if let Some(mut orders) = self.orders.as_ref() {
            // Full: it has been ordered. Closed: the thread has ended, and said why.
            drop(orders.write(&[0]));
        }
    }
}

/// Starts the thread.
fn start(maker: Arc<Maker>) -> io::Result<PipeWriter> {
    let (ordered, orders) = io::pipe()?;
    fcntl(orders.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let work = move || {
        if let Err(error) = work(&maker, ordered) {
            log::error!("no more sets of processes ahead: {error}");
        }
    };
    thread::Builder::new()
        .name("tao-sets".to_owned())
        .spawn(work)?;
    Ok(orders)
}
