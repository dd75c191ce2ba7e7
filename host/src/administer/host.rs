//! The host at work: what administrators' calls work with.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    administer::host_guard::HostGuard,
    authority::identity::Identity,
    calls::service::TaoService,
    connections::reactor::Reactor,
    counters::store::CounterStore,
    measure::measuring::Measuring,
    running::{
        ending::{self, Ending},
        program::Program,
        programs::Programs,
    },
    start::spawn::Spawner,
};

/// The host at work.
pub(crate) struct Host {
    pub identity: Arc<Identity>,
    pub guard: HostGuard,
    pub counters: Arc<CounterStore>,
    pub service: Arc<TaoService>,
    pub spawner: Arc<Spawner>,
    pub programs: Arc<Programs>,
    /// Who measures and starts programs.
    pub measuring: Arc<Measuring>,
    pub reactor: Arc<Reactor>,
    /// Where sockets are.
    pub socket_dir: PathBuf,
    pub stopping: AtomicBool,
}

impl Host {
    /// Serves a program and watches for its end.
    pub(crate) fn watch(&self, program: &Arc<Program>) -> io::Result<()> {
        let reactor = &self.reactor;
        if let Some(Err(error)) = program.output.as_ref().map(|output| output.watch(reactor)) {
            log::warn!("process {}: its output is lost: {error}", program.pid);
        }
        program.channel.watch(reactor)?;
        let ending = Ending {
            program: Arc::clone(program),
            programs: Arc::clone(&self.programs),
            spawner: Arc::clone(&self.spawner),
        };
        ending
            .watch(reactor)
            .inspect_err(|_| program.channel.close(reactor))
    }

    /// Ends all programs, then the host. Returns at once.
    pub(crate) fn shut_down(&self) {
        if !self.stopping.swap(true, Ordering::SeqCst) {
            ending::end_all(&self.programs, &self.reactor);
        }
    }
}
