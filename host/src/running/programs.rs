//! Who is running, and how those who ended did.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tao::{logic::SubPrin, wire::messages::AdminHostedProgram};

use crate::running::{output::Output, program::Program};

/// How many ended programs are remembered, so that a wait that comes late gets its answer.
const REMEMBERED: usize = 256;
/// Of how many of them the output is kept.
const OUTPUTS: usize = 32;

/// Told how a program ended: its status, as wait(2) gives it.
pub(crate) type Waiter = Box<dyn FnOnce(i32) + Send>;

struct Running {
    program: Arc<Program>,
    waiters: Vec<Waiter>,
}

/// A program that has ended.
struct Ended {
    pid: i32,
    /// The name it was started under, and the one it had at its end.
    names: [SubPrin; 2],
    status: i32,
    output: Option<Arc<Output>>,
}

#[derive(Default)]
struct Table {
    running: HashMap<i32, Running>,
    ended: VecDeque<Ended>,
    closing: bool,
}

/// What a wait finds.
pub(crate) enum Wait {
    /// The program runs; the waiter will be told.
    Registered,
    /// It has ended, with this status.
    Ended(i32),
    /// There is none and was none lately.
    Unknown,
}

/// All programs of the host.
#[derive(Default)]
pub(crate) struct Programs {
    table: Mutex<Table>,
    /// Read by who starts a program, until it is in the table.
    starting: RwLock<()>,
    changed: Condvar,
}

impl Programs {
    /// Each change of the table is complete before anything else can panic.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be kept from before a program is started until it has been added.
    pub(crate) fn starting(&self) -> RwLockReadGuard<'_, ()> {
        self.starting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a program; false if the host is shutting down.
    pub(crate) fn insert(&self, program: Arc<Program>) -> bool {
        let mut table = self.table();
        if table.closing {
            return false;
        }
        table.running.insert(
            program.pid,
            Running {
                program,
                waiters: Vec::new(),
            },
        );
        true
    }

    /// Takes note of an end. Gives those who wait for it.
    pub(crate) fn ended(&self, program: &Program, status: i32) -> Vec<Waiter> {
        program.let_go_of_user();
        let mut table = self.table();
        let waiters = table
            .running
            .remove(&program.pid)
            // One that was not in the table is waited for by nobody.
            .map_or_else(Vec::new, |running| running.waiters);
        if table.ended.len() == REMEMBERED {
            table.ended.pop_front();
        }
        // The output of the last ones only: it is much more than a status.
        let old = table.ended.len().saturating_sub(OUTPUTS);
        if let Some(ended) = old.checked_sub(1).and_then(|old| table.ended.get_mut(old)) {
            ended.output = None;
        }
        table.ended.push_back(Ended {
            pid: program.pid,
            names: [program.started_as().clone(), program.caller.subprin()],
            status,
            output: program.output.clone(),
        });
        self.changed.notify_all();
        waiters
    }

    /// The program with that process id, if it runs.
    pub(crate) fn find(&self, pid: i32) -> Option<Arc<Program>> {
        let table = self.table();
        let running = table.running.get(&pid)?;
        Some(Arc::clone(&running.program))
    }

    /// The program that one of these processes is, or whose set's first process one is.
    pub(crate) fn of_processes(&self, processes: &[i32]) -> Option<Arc<Program>> {
        let is_in = |program: &Program| {
            let init = program.process.init.as_ref().map(|init| init.pid);
            processes.contains(&program.pid) || init.is_some_and(|init| processes.contains(&init))
        };
        let find = || {
            let table = self.table();
            let mut running = table.running.values();
            let found = running.find(|running| is_in(&running.program))?;
            Some(Arc::clone(&found.program))
        };
        find().or_else(|| {
            // It may run already and not be noted yet.
            drop(self.starting.write());
            find()
        })
    }

    /// Those that run, by process id.
    pub(crate) fn list(&self) -> Vec<Arc<Program>> {
        let mut list: Vec<_> = self
            .table()
            .running
            .values()
            .map(|running| Arc::clone(&running.program))
            .collect();
        list.sort_by_key(|program| program.pid);
        list
    }

    /// Those that have ended lately, the first one first, under their last names.
    pub(crate) fn ended_lately(&self) -> Vec<AdminHostedProgram> {
        let table = self.table();
        let described = table.ended.iter().map(|ended| {
            let [_, name] = &ended.names;
            AdminHostedProgram {
                subprin: name.encode(),
                pid: ended.pid,
                ended: Some(ended.status),
            }
        });
        described.collect()
    }

    /// How a program ended, or a promise to tell.
    pub(crate) fn wait(&self, pid: i32, subprin: Option<&SubPrin>, waiter: Waiter) -> Wait {
        let mut table = self.table();
        let fits = |names: &[SubPrin]| subprin.is_none_or(|subprin| names.contains(subprin));
        let called =
            |program: &Program| subprin.is_none_or(|subprin| program.caller.is_called(subprin));
        if let Some(running) = table
            .running
            .get_mut(&pid)
            .filter(|running| called(&running.program))
        {
            running.waiters.push(waiter);
            return Wait::Registered;
        }
        let ended = table
            .ended
            .iter()
            .rev()
            .find(|ended| ended.pid == pid && fits(&ended.names));
        ended.map_or(Wait::Unknown, |ended| Wait::Ended(ended.status))
    }

    /// The output of a program that runs or has ended lately, if it is kept.
    pub(crate) fn output(&self, pid: i32) -> Option<Arc<Output>> {
        let table = self.table();
        if let Some(running) = table.running.get(&pid) {
            return running.program.output.clone();
        }
        let ended = table.ended.iter().rev().find(|ended| ended.pid == pid)?;
        ended.output.clone()
    }

    /// Sends a signal to every program of that name; gives how many there are.
    pub(crate) fn signal(&self, subprin: &SubPrin, signal: Signal) -> usize {
        let programs = self.list();
        let named = programs
            .iter()
            .filter(|program| program.caller.is_called(subprin));
        named.map(|program| send(program, signal)).count()
    }

    /// Ends all programs: SIGTERM, and SIGKILL for those still there after `patience`.
    pub(crate) fn end_all(&self, patience: Duration) {
        self.table().closing = true;
        for (signals, patience) in [
            (&[Signal::SIGTERM, Signal::SIGCONT][..], patience),
            (&[Signal::SIGKILL][..], Duration::from_secs(5)),
        ] {
            for program in self.list() {
                signals.iter().for_each(|signal| send(&program, *signal));
            }
            let begin = Instant::now();
            let mut table = self.table();
            while !table.running.is_empty() {
                let left = patience.saturating_sub(begin.elapsed());
                if left.is_zero() {
                    break;
                }
                table = match self.changed.wait_timeout(table, left) {
                    Ok((table, _)) => table,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            }
        }
    }
}

fn send(program: &Program, signal: Signal) {
    if let Err(error) = program.process.signal(signal) {
        // It may have ended this moment.
        log::debug!("{signal} to process {}: {error}", program.pid);
    }
}
