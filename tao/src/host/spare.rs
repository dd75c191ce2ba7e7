//! A set of processes that waits for the next program: it is made after a start, when nobody
//! waits for it. To make one takes as long as all the rest of a start.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use super::{process_set::ProcessSet, spawn_child::Measures};

struct Maker {
    measures: Measures,
    program: OwnedFd,
    spared: bool,
    spare: Mutex<Option<ProcessSet>>,
}

impl Maker {
    fn make(&self) -> io::Result<ProcessSet> {
        ProcessSet::new(&self.measures, &self.program, self.spared)
    }

    /// It is a whole set or none.
    fn spare(&self) -> MutexGuard<'_, Option<ProcessSet>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sets, one ahead.
pub(super) struct Sets {
    maker: Arc<Maker>,
    /// Orders the next; the thread that makes it ends with this. `None` if there is no such
    /// thread: then each is made when it is needed.
    orders: Option<SyncSender<()>>,
}

impl Sets {
    /// `program` and `spared` are those of [`ProcessSet::new`].
    pub(super) fn new(measures: Measures, program: OwnedFd, spared: bool) -> Self {
        let maker = Arc::new(Maker {
            measures,
            program,
            spared,
            spare: Mutex::default(),
        });
        let (orders, ordered) = mpsc::sync_channel(1);
        let makes = Arc::clone(&maker);
        let thread = thread::Builder::new().name("tao-sets".to_owned());
        let started = thread.spawn(move || {
            while ordered.recv().is_ok() {
                if makes.spare().is_some() {
                    continue;
                }
                match makes.make() {
                    Ok(set) => *makes.spare() = Some(set),
                    // The next start tries for itself, and says why it can't.
                    Err(error) => log::debug!("no set of processes ahead: {error}"),
                }
            }
        });
        Sets {
            maker,
            orders: started.is_ok().then_some(orders),
        }
    }

    /// One that fits the machine as it is now.
    pub(super) fn take(&self) -> io::Result<ProcessSet> {
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
    pub(super) fn prepare(&self) {
        if let Some(orders) = &self.orders {
            match orders.try_send(()) {
                // Full: it has been ordered.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
    }
}
