//! The processes of a hosted program, as the host sees them: the program itself, and where
//! it has a set of processes of its own, the first of that set.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    process::Command,
};

use nix::sys::signal::Signal;

use super::cgroup::Group;
use crate::process::{PidFd, try_wait, wait};

/// A child of the host.
pub struct ChildProcess {
    /// Its number.
    pub pid: i32,
    /// Tells of its end.
    pub pidfd: PidFd,
}

/// A hosted program's processes; waited for by the host only.
pub struct HostedProcess {
    /// The program.
    pub program: ChildProcess,
    /// The first process of its own set.
    pub init: Option<ChildProcess>,
    group: Option<Group>,
}

/// Opens a child of this process. One that can't be watched must not run.
fn open(pid: i32) -> io::Result<ChildProcess> {
    match PidFd::open(pid) {
        Ok(pidfd) => Ok(ChildProcess { pid, pidfd }),
        Err(error) => {
            crate::process::kill(pid, Signal::SIGKILL)?;
            wait(pid)?;
            Err(error)
        }
    }
}

impl HostedProcess {
    /// Starts what `spawn_child` has set up. With a set of processes of its own the program
    /// is not the process that the command is, but one that this tells of in `reported`.
    pub(super) fn start(mut command: Command, reported: OwnedFd, own: bool) -> io::Result<Self> {
        let started = command.spawn();
        // Together with it goes this process's end of the pipe.
        drop(command);
        let result = match started {
            Ok(mut child) if own => child.wait().map(drop),
            Ok(child) => {
                // Dropped without being waited for: this is done by number.
                let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
                return Ok(HostedProcess {
                    program: open(pid)?,
                    init: None,
                    group: None,
                });
            }
            Err(error) if own => Err(error),
            Err(error) => return Err(error),
        };
        let (init, program) = read_report(reported)?;
        let end = |pid: i32| -> io::Result<()> {
            if pid != 0 {
                crate::process::kill(pid, Signal::SIGKILL)?;
                wait(pid)?;
            }
            Ok(())
        };
        let ended = |error: io::Error| {
            // The children of a failed start; there are none if it failed early. The first
            // process ends only when the others have been waited for.
            for pid in [program, init] {
                if let Err(error) = end(pid) {
                    log::error!("process {pid} of a program that did not start: {error}");
                }
            }
            error
        };
        result.map_err(ended)?;
        if program == 0 || init == 0 {
            return Err(ended(io::Error::other(
                "it ended before it was the program",
            )));
        }
        let opened = PidFd::open(program).and_then(|opened| Ok((opened, PidFd::open(init)?)));
        let (pidfd, init_pidfd) = opened.map_err(ended)?;
        Ok(HostedProcess {
            program: ChildProcess {
                pid: program,
                pidfd,
            },
            init: Some(ChildProcess {
                pid: init,
                pidfd: init_pidfd,
            }),
            group: None,
        })
    }

    pub(super) fn with_group(self, group: Option<Group>) -> Self {
        HostedProcess { group, ..self }
    }

    pub(super) fn group(&self) -> Option<&Group> {
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

    /// Ends everything and waits for it: for a program that can't be hosted.
    pub fn abandon(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)?;
        wait(self.program.pid)?;
        if let Some(init) = self.init.as_ref().filter(|_| self.end_set()) {
            wait(init.pid)?;
        }
        Ok(())
    }
}

/// Two numbers, or zeros if nothing was reported.
fn read_report(reported: OwnedFd) -> io::Result<(i32, i32)> {
    let mut numbers = [0; 8];
    let mut read = 0;
    let mut pipe = File::from(reported);
    while let Some(rest) = numbers.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match pipe.read(rest) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let [a, b, c, d, e, f, g, h] = numbers;
    Ok((
        i32::from_ne_bytes([a, b, c, d]),
        i32::from_ne_bytes([e, f, g, h]),
    ))
}
