//! What administrators do with programs: start, list, wait for, stop and kill them.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::sys::signal::Signal;

use super::{
    connection::{Admin, admin},
    error::AdminError,
};
use crate::{
    limits::Limits,
    logic::SubPrin,
    wire::messages::{AdminHostedProgram, AdminRequest, AdminResponse},
};

/// A hosted program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedProgram {
    /// Its name below the host's.
    pub subprin: SubPrin,
    /// Its process.
    pub pid: i32,
}

/// A hosted program that runs or has ended lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProgram {
    /// Which one.
    pub program: HostedProgram,
    /// How it has ended, as wait(2) gives it; `None` if it runs.
    pub ended: Option<i32>,
}

/// What a program in the background has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The last of it.
    pub last: Vec<u8>,
    /// How many bytes it was in all.
    pub total: u64,
}

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The program's file, absolute.
    pub path: &'a str,
    /// Arguments without the program's own name.
    pub args: &'a [String],
    /// Environment variables, as NAME=VALUE, if the host's policy takes them.
    pub environment: &'a [String],
    /// Working directory, absolute.
    pub dir: &'a str,
    /// Standard input, output and error; none for a program in the background, the last of
    /// whose output the host keeps.
    pub stdio: Option<[BorrowedFd<'a>; 3]>,
    /// It reaches the host over a socket instead of a pair of pipes.
    pub socket: bool,
    /// The most it may use, where that is less than what the host's policy allows.
    pub limits: Limits,
}

impl Admin {
    /// Starts a program.
    ///
    /// # Errors
    /// When the connection breaks, or the host does not start the program.
    pub fn start(&mut self, start: &Start<'_>) -> Result<HostedProgram, AdminError> {
        let request = AdminRequest {
            path: Some(start.path.to_owned()),
            args: start.args.to_vec(),
            environment: start.environment.to_vec(),
            dir: Some(start.dir.to_owned()),
            stdin: start.stdio.map(|_| 0),
            stdout: start.stdio.map(|_| 1),
            stderr: start.stdio.map(|_| 2),
            keep_output: start.stdio.is_none().then_some(true),
            channel: start.socket.then(|| "unix".to_owned()),
            memory: start.limits.memory,
            processes: start.limits.processes,
            cpu: start.limits.cpu,
            ..AdminRequest::default()
        };
        let descriptors: Vec<RawFd> = start
            .stdio
            .iter()
            .flatten()
            .map(AsRawFd::as_raw_fd)
            .collect();
        self.send(&admin("StartHostedProgram"), &request, &descriptors)?;
        let mut programs = programs(self.receive()?)?;
        programs
            .pop()
            .ok_or(AdminError::Incomplete("it names no program"))
    }

    /// The programs that run.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn list(&mut self) -> Result<Vec<HostedProgram>, AdminError> {
        programs(self.call("ListHostedPrograms", &AdminRequest::default())?)
    }

    /// The same, after those that have ended lately.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn list_all(&mut self) -> Result<Vec<KnownProgram>, AdminError> {
        let request = AdminRequest {
            all: Some(true),
            ..AdminRequest::default()
        };
        let response = self.call("ListHostedPrograms", &request)?;
        let ended: Vec<_> = response.child.iter().map(|child| child.ended).collect();
        let known = programs(response)?.into_iter().zip(ended);
        Ok(known
            .map(|(program, ended)| KnownProgram { program, ended })
            .collect())
    }

    /// Asks to be told when a program ends; [`Admin::finish_wait`] gets the answer. In
    /// between [`AsFd`] becomes readable.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn begin_wait(&mut self, program: &HostedProgram) -> Result<(), AdminError> {
        let request = AdminRequest {
            subprin: Some(program.subprin.encode()),
            pid: Some(program.pid),
            ..AdminRequest::default()
        };
        self.send(&admin("WaitHostedProgram"), &request, &[])
    }

    /// The same for a process of which only the number is known.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn begin_wait_for(&mut self, pid: i32) -> Result<(), AdminError> {
        let request = AdminRequest {
            pid: Some(pid),
            ..AdminRequest::default()
        };
        self.send(&admin("WaitHostedProgram"), &request, &[])
    }

    /// The last of what a program in the background has written.
    ///
    /// # Errors
    /// When the connection breaks, or the host keeps no output of such a program.
    pub fn output(&mut self, pid: i32) -> Result<Written, AdminError> {
        let request = AdminRequest {
            pid: Some(pid),
            ..AdminRequest::default()
        };
        let response = self.call("Output", &request)?;
        let missing = || AdminError::Incomplete("it has no output");
        let last = response.output.ok_or_else(missing)?;
        let total = response.written.ok_or_else(missing)?;
        Ok(Written { last, total })
    }

    /// The wait status, as wait(2) gives it, of the program [`Admin::begin_wait`] named.
    ///
    /// # Errors
    /// When the connection breaks, or there is no such program.
    pub fn finish_wait(&mut self) -> Result<i32, AdminError> {
        let response: AdminResponse = self.receive()?;
        response
            .status
            .ok_or(AdminError::Incomplete("it has no status"))
    }

    fn by_name(&mut self, op: &str, subprin: &SubPrin) -> Result<(), AdminError> {
        let request = AdminRequest {
            subprin: Some(subprin.encode()),
            ..AdminRequest::default()
        };
        self.call(op, &request).map(drop)
    }

    /// Asks every program of that name to end (SIGTERM).
    ///
    /// # Errors
    /// When the connection breaks, or there is no such program.
    pub fn stop(&mut self, subprin: &SubPrin) -> Result<(), AdminError> {
        self.by_name("StopHostedProgram", subprin)
    }

    /// Ends every program of that name (SIGKILL).
    ///
    /// # Errors
    /// When the connection breaks, or there is no such program.
    pub fn kill(&mut self, subprin: &SubPrin) -> Result<(), AdminError> {
        self.by_name("KillHostedProgram", subprin)
    }

    /// Has the host send a signal to a program.
    ///
    /// # Errors
    /// When the connection breaks, or there is no such program.
    pub fn signal(&mut self, pid: i32, signal: Signal) -> Result<(), AdminError> {
        let request = AdminRequest {
            pid: Some(pid),
            signal: Some(signal as i32),
            ..AdminRequest::default()
        };
        self.call("Signal", &request).map(drop)
    }

    /// The same, if the program with that process has this name.
    ///
    /// # Errors
    /// When the connection breaks, or there is no such program.
    pub fn signal_program(
        &mut self,
        program: &HostedProgram,
        signal: Signal,
    ) -> Result<(), AdminError> {
        let request = AdminRequest {
            subprin: Some(program.subprin.encode()),
            pid: Some(program.pid),
            signal: Some(signal as i32),
            ..AdminRequest::default()
        };
        self.call("Signal", &request).map(drop)
    }
}

fn programs(response: AdminResponse) -> Result<Vec<HostedProgram>, AdminError> {
    let program = |child: AdminHostedProgram| {
        Ok(HostedProgram {
            subprin: SubPrin::decode(&child.subprin)?,
            pid: child.pid,
        })
    };
    response.child.into_iter().map(program).collect()
}
