//! The processes of a hosted program, as the host sees them: the program itself, and where
//! it has a set of processes of its own, the first of that set.

use std::io;

use nix::sys::signal::Signal;

use crate::{
    confine::cgroup::Group,
    start::{child_process::ChildProcess, process_set::ProcessSet},
};
use tao::process::{try_wait, wait};

/// A hosted program's processes; waited for by the host only.
pub struct HostedProcess {
    /// The program.
    pub program: ChildProcess,
    /// The first process of its own set.
    pub init: Option<ChildProcess>,
    group: Option<Group>,
}

impl HostedProcess {
    /// The program with that number; its set is ended with it.
    pub(crate) fn new(pid: i32, set: Option<ProcessSet>) -> io::Result<Self> {
        // Where this fails the set is ended here.
        let program = ChildProcess::open(pid)?;
        Ok(Self {
            program,
            init: set.and_then(ProcessSet::into_init),
            group: None,
        })
    }

    pub(crate) fn with_group(self, group: Option<Group>) -> Self {
        Self { group, ..self }
    }

    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.program.pidfd.signal(signal)
    }

    /// The program's status, as wait(2) gives it, once it has ended.
    pub fn status(&self) -> io::Result<Option<i32>> {
        try_wait(self.program.pid)
    }

    /// Ends the first process, and with it whatever the program has left behind; true if
    /// there is one whose end is to be waited for.
    pub fn end_set(&self) -> bool {
        let Some(init) = &self.init else {
            return false;
        };
        if let Err(error) = init.pidfd.signal(Signal::SIGKILL) {
            // It may have been ended by somebody else.
            log::debug!("process {}: {error}", init.pid);
        }
        true
    }

    /// Has the whole set ended? Takes note of it.
    pub fn set_ended(&self) -> io::Result<bool> {
        match &self.init {
            Some(init) => Ok(try_wait(init.pid)?.is_some()),
            None => Ok(true),
        }
    }

    /// Ends everything and waits for it: for a program that cannot be hosted.
    pub fn abandon(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)?;
        wait(self.program.pid)?;
        if let Some(init) = self.init.as_ref().filter(|_| self.end_set()) {
            wait(init.pid)?;
        }
        Ok(())
    }
}
