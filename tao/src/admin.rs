//! How administrators talk to a host: start, list, wait for, stop and kill programs.

use std::{
    io::{self, IoSlice, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

use nix::sys::{
    signal::Signal,
    socket::{ControlMessage, MsgFlags, sendmsg},
};

use crate::limits::Limits;
use crate::{
    guard::{Explanation, Step},
    logic::{LogicError, Prin, SubPrin},
    wire::{
        FrameError, Inbox,
        counter_messages::{CountersOf, CountersRequest, CountersResponse},
        guard_messages::{GuardRequest, GuardResponse, GuardStep, HostDescription},
        messages::{AdminRequest, AdminResponse, ResponseHeader},
        proto2::{self, Proto2, ProtoError},
        rpc,
    },
};

/// Where the host of a booted machine listens.
pub const ADMIN_SOCKET: &str = "/run/tao/admin.sock";

/// Why an administration call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Nobody listens.
    #[error("no Tao host answers at {path}{hint}", path = path.display(), hint = hint(source))]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the Tao host failed: {0}")]
    Connection(#[from] io::Error),
    /// The request is too long.
    #[error("the request can't be sent: {0}")]
    Request(#[source] FrameError),
    /// The host sent something else than frames.
    #[error("the Tao host's answer is malformed: {0}")]
    Frame(#[from] FrameError),
    /// The host sent something else than an answer.
    #[error("the Tao host's answer is malformed: {0}")]
    Answer(#[from] ProtoError),
    /// The host sent a name that is none.
    #[error("the Tao host's answer is malformed: {0}")]
    Name(#[from] LogicError),
    /// An answer without what was asked for.
    #[error("the Tao host's answer is malformed: {0}")]
    Incomplete(&'static str),
    /// The host refused, in its own words.
    #[error("{0}")]
    Refused(String),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            " (it starts with the machine when taoboot boots it)"
        }
        io::ErrorKind::PermissionDenied => " (only root may administer it)",
        _ => "",
    }
}

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

/// A connection to a host.
pub struct Admin {
    stream: UnixStream,
    inbox: Inbox,
    seq: u64,
}

impl Admin {
    /// Connects to the host that listens at `path`, normally [`ADMIN_SOCKET`].
    ///
    /// # Errors
    /// When nobody listens there, or this process may not connect.
    pub fn connect(path: &Path) -> Result<Admin, AdminError> {
        let stream = UnixStream::connect(path).map_err(|source| AdminError::NoHost {
            path: path.to_owned(),
            source,
        })?;
        Ok(Admin {
            stream,
            inbox: Inbox::default(),
            seq: 0,
        })
    }

    fn send(
        &mut self,
        op: &str,
        request: &impl Proto2,
        descriptors: &[RawFd],
    ) -> Result<(), AdminError> {
        let mut bytes = Vec::new();
        rpc::write_request(&mut bytes, op, self.seq, request).map_err(AdminError::Request)?;
        let rights = [ControlMessage::ScmRights(descriptors)];
        let control: &[ControlMessage<'_>] = if descriptors.is_empty() { &[] } else { &rights };
        let slices = [IoSlice::new(&bytes)];
        let fd = self.stream.as_raw_fd();
        let sent = sendmsg::<()>(fd, &slices, control, MsgFlags::MSG_NOSIGNAL, None)
            .map_err(io::Error::from)?;
        let (_, rest) = bytes
            .split_at_checked(sent)
            .ok_or_else(|| io::Error::other("the kernel sent more than it was given"))?;
        self.stream.write_all(rest)?;
        Ok(())
    }

    fn receive<R: Proto2>(&mut self) -> Result<R, AdminError> {
        loop {
            if let Some(message) = self.inbox.next_message()? {
                let (header, body) = self.inbox.parts(&message);
                let header: ResponseHeader = proto2::read(header)?;
                if header.seq != self.seq {
                    return Err(AdminError::Incomplete("it belongs to another call"));
                }
                self.seq = self.seq.wrapping_add(1);
                return match header.error {
                    Some(error) => Err(AdminError::Refused(error)),
                    None => Ok(proto2::read(body)?),
                };
            }
            match self.stream.read(self.inbox.space()) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => self.inbox.filled(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn call(&mut self, op: &str, request: &AdminRequest) -> Result<AdminResponse, AdminError> {
        self.send(&admin(op), request, &[])?;
        self.receive()
    }

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

    /// The host's name.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn host_name(&mut self) -> Result<Prin, AdminError> {
        let response = self.call("HostName", &AdminRequest::default())?;
        let name = response
            .prin
            .ok_or(AdminError::Incomplete("it has no name"))?;
        Ok(Prin::decode(&name)?)
    }

    /// What the host says about itself.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn describe(&mut self) -> Result<HostDescription, AdminError> {
        self.send(&admin("Describe"), &AdminRequest::default(), &[])?;
        self.receive()
    }

    fn counters_call(
        &mut self,
        op: &str,
        program: Option<&[u8]>,
    ) -> Result<CountersResponse, AdminError> {
        let request = CountersRequest {
            program: program.map(<[u8]>::to_vec),
        };
        self.send(&format!("{}.{op}", rpc::COUNTERS_SERVICE), &request, &[])?;
        self.receive()
    }

    /// How many counters programs have.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn counters(&mut self) -> Result<Vec<CountersOf>, AdminError> {
        Ok(self.counters_call("List", None)?.programs)
    }

    /// Deletes all counters of a program, by the hash that [`Admin::counters`] gives. What it has sealed
    /// against rollback opens no more. Gives how many there were.
    ///
    /// # Errors
    /// When the connection breaks, or the program has no counters.
    pub fn delete_counters(&mut self, program: &[u8]) -> Result<u64, AdminError> {
        self.counters_call("Delete", Some(program))?
            .deleted
            .ok_or(AdminError::Incomplete("it does not say how many"))
    }

    fn guard(&mut self, op: &str, text: Option<&str>) -> Result<GuardResponse, AdminError> {
        let request = GuardRequest {
            text: text.map(str::to_owned),
        };
        self.send(&format!("{}.{op}", rpc::GUARD_SERVICE), &request, &[])?;
        self.receive()
    }

    /// Adds a rule to the host's guard, if it is one that administrators change.
    ///
    /// # Errors
    /// When the connection breaks, the rule is not one, or administrators may not change the guard.
    pub fn guard_add(&mut self, rule: &str) -> Result<(), AdminError> {
        self.guard("Add", Some(rule)).map(drop)
    }

    /// Takes a rule away from the host's guard, if it is one that administrators change.
    ///
    /// # Errors
    /// When the connection breaks, there is no such rule, or administrators may not change the
    /// guard.
    pub fn guard_retract(&mut self, rule: &str) -> Result<(), AdminError> {
        self.guard("Retract", Some(rule)).map(drop)
    }

    /// Asks the host's guard.
    ///
    /// # Errors
    /// When the connection breaks, or the query is not one.
    pub fn guard_query(&mut self, query: &str) -> Result<bool, AdminError> {
        self.guard("Query", Some(query))?
            .allowed
            .ok_or(AdminError::Incomplete("it has no answer"))
    }

    /// Asks the host's guard, and why it answers so.
    ///
    /// # Errors
    /// When the connection breaks, or the query is not one.
    pub fn guard_why(&mut self, query: &str) -> Result<Explanation, AdminError> {
        let response = self.guard("Why", Some(query))?;
        let step = |step: GuardStep| {
            Ok(Step {
                depth: usize::try_from(step.depth)
                    .map_err(|_| AdminError::Incomplete("a step of it is too deep"))?,
                statement: step.statement,
                reason: step.reason,
            })
        };
        Ok(Explanation {
            allowed: response
                .allowed
                .ok_or(AdminError::Incomplete("it has no answer"))?,
            steps: response
                .step
                .into_iter()
                .map(step)
                .collect::<Result<_, AdminError>>()?,
        })
    }

    /// The guard's part of the host's name, and its rules.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn guard_show(&mut self) -> Result<(SubPrin, Vec<String>), AdminError> {
        let response = self.guard("Show", None)?;
        let subprin = response
            .subprin
            .ok_or(AdminError::Incomplete("the guard has no name"))?;
        let subprin = SubPrin::decode(&subprin)?;
        Ok((subprin, response.rule))
    }

    /// Ends the host and all its programs.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn shutdown(&mut self) -> Result<(), AdminError> {
        self.call("Shutdown", &AdminRequest::default()).map(drop)
    }
}

impl AsFd for Admin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The call's name on the wire.
fn admin(op: &str) -> String {
    format!("{}.{op}", rpc::ADMIN_SERVICE)
}

fn programs(response: AdminResponse) -> Result<Vec<HostedProgram>, AdminError> {
    let program = |child: crate::wire::messages::AdminHostedProgram| {
        Ok(HostedProgram {
            subprin: SubPrin::decode(&child.subprin)?,
            pid: child.pid,
        })
    };
    response.child.into_iter().map(program).collect()
}
