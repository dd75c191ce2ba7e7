//! Who is at the other end of an administrator's connection: somebody of the machine, or a
//! hosted program.
//!
//! A hosted program is known by its process and not by its user: it may be root's, or of the
//! host's own user, and is not an administrator for that. Every process of a program descends from
//! the host (what loses its parent gets the first process of the program's own set, which is a
//! child of the host) and has no_new_privs, which it cannot give up. Where programs have no set
//! of their own an orphan's descent is lost, so there no_new_privs alone counts.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{Gid, Uid, geteuid},
};

use crate::{administer::host::Host, policy::programs::Confinement};
use tao::{
    logic::{Prin, SubPrin},
    process::PidFd,
};

/// Ancestors that are looked at; a longer chain is nobody's that the host knows.
const MOST_ANCESTORS: usize = 4096;
/// How often descent is looked at again when an ancestor has ended meanwhile.
const TRIES: usize = 3;
/// Largest file of a process's status.
const MOST_STATUS: usize = 64 * 1024;

/// Who is at the other end, as the kernel knows it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub uid: Uid,
    pub gid: Gid,
    /// Set if it is a process of a hosted program.
    pub hosted: Option<HostedPeer>,
}

/// A process of a hosted program.
#[derive(Debug)]
pub(crate) struct HostedPeer {
    pid: i32,
    /// What `pid` means for as long as this has not ended.
    process: PidFd,
}

/// Why somebody may not do an operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Forbidden {
    /// Which process it is cannot be told.
    #[error(transparent)]
    Process(io::Error),
    /// A program's, and not known which program's.
    #[error(
        "{0}: this process seems to belong to a hosted program, and to which one is not known; administer the host from outside its programs"
    )]
    UnknownProgram(String),
    /// A program that the guard does not name.
    #[error(
        "a hosted program may not administer the host unless its guard allows Authorized({name}, \"{operation}\")"
    )]
    Program {
        /// The program.
        name: Box<Prin>,
        /// What it asked for.
        operation: String,
    },
    /// A user that the guard does not name.
    #[error("the host's guard does not allow Authorized(user({uid}), \"{operation}\")")]
    User {
        /// The user.
        uid: Uid,
        /// What was asked for.
        operation: String,
    },
}

impl Peer {
    /// Root and the host's own user administer the host; others do what the guard lets
    /// `user(ID)` do. A hosted program, whoever's it is, does what the guard lets its own name
    /// do.
    pub(crate) fn require(&self, host: &Host, operation: &str) -> Result<(), Forbidden> {
        let Some(hosted) = &self.hosted else {
            return self.require_of_user(host, operation);
        };
        let operation = operation.to_owned();
        let Some(program) = hosted.program(host).map_err(Forbidden::Process)? else {
            return Err(Forbidden::UnknownProgram(operation));
        };
        let name = host.service.host_name().extended(&program);
        if host.guard.names(&name, &operation) {
            return Ok(());
        }
        let name = Box::new(name);
        Err(Forbidden::Program { name, operation })
    }

    fn require_of_user(&self, host: &Host, operation: &str) -> Result<(), Forbidden> {
        let owner = self.uid.is_root() || self.uid == geteuid();
        if owner || host.guard.may_administer(self.uid.as_raw(), operation) {
            return Ok(());
        }
        let (uid, operation) = (self.uid, operation.to_owned());
        Err(Forbidden::User { uid, operation })
    }

    /// Had this user, and no program, a program of `owner` started?
    pub(crate) fn is_owner(&self, owner: Uid) -> bool {
        self.hosted.is_none() && self.uid == owner
    }
}

/// A line of proc_pid_status(5).
fn field(status: &str, name: &str) -> Option<i32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// A process's parent, and whether it has no_new_privs.
fn status(pid: i32) -> io::Result<(i32, bool)> {
    use io::Read as _;
    let path = format!("/proc/{pid}/status");
    let mut text = Vec::new();
    fs::File::open(&path)?
        .take(MOST_STATUS as u64)
        .read_to_end(&mut text)?;
    // The name of the command is not always UTF-8, and the kernel writes no line end in it.
    let text = String::from_utf8_lossy(&text);
    match (field(&text, "PPid:"), field(&text, "NoNewPrivs:")) {
        (Some(parent), Some(confined)) => Ok((parent, confined != 0)),
        _ => Err(io::Error::other(format!(
            "{path} has no PPid or no NoNewPrivs (Linux 4.10)"
        ))),
    }
}

/// The process and its ancestors, as far as this host, and whether that was found; the process
/// itself has no_new_privs.
struct Descent {
    line: Vec<i32>,
    from_host: bool,
    confined: bool,
}

fn descent(pid: i32, host: i32) -> io::Result<Descent> {
    let mut found = descent_by(pid, host, status);
    // Who has lost a parent meanwhile has another one now.
    for _ in 0..TRIES {
        if found.is_ok() {
            break;
        }
        found = descent_by(pid, host, status);
    }
    found
}

/// As `status` tells it. An ancestor may end, and its number be another process's, between two
/// looks: a child that still has it as its parent afterwards shows that it has not.
fn descent_by(
    pid: i32,
    host: i32,
    mut status: impl FnMut(i32) -> io::Result<(i32, bool)>,
) -> io::Result<Descent> {
    let (mut parent, confined) = status(pid)?;
    let mut line = vec![pid];
    let mut child = pid;
    while parent > 0 && parent != host {
        if line.len() == MOST_ANCESTORS {
            return Err(io::Error::other("it has too many ancestors"));
        }
        line.push(parent);
        let above = status(parent)?.0;
        if status(child)?.0 != parent {
            return Err(io::Error::other("an ancestor has ended meanwhile"));
        }
        (child, parent) = (parent, above);
    }
    Ok(Descent {
        line,
        from_host: parent == host,
        confined,
    })
}

/// The process that connected `stream`, if it is one of a hosted program. `pid` is 0 if this
/// host does not see it: then it runs in no set of processes below the host's own, where every
/// hosted program is.
///
/// An error if that cannot be told: somebody who may be anybody administers nothing.
pub(crate) fn hosted(
    host: &Host,
    stream: BorrowedFd<'_>,
    pid: i32,
) -> io::Result<Option<HostedPeer>> {
    let this = this_process()?;
    if pid == 0 || pid == this {
        return Ok(None);
    }
    let process = PidFd::of_peer(stream, pid)?;
    let peer = HostedPeer { pid, process };
    let descent = peer.descent(this)?;
    let sets = host
        .spawner
        .confinements()
        .contains(&Confinement::Processes);
    let hosted = descent.confined && (descent.from_host || !sets);
    Ok(hosted.then_some(peer))
}

fn this_process() -> io::Result<i32> {
    i32::try_from(std::process::id()).map_err(io::Error::other)
}

impl HostedPeer {
    fn descent(&self, host: i32) -> io::Result<Descent> {
        let descent = descent(self.pid, host)?;
        // What was read is of the process that has the number, which is this one for as long as
        // it has not ended.
        let mut ended = [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ended, PollTimeout::ZERO)? != 0 {
            return Err(io::Error::other("the process that connected has ended"));
        }
        Ok(descent)
    }

    /// The program that it is of, by its present name. None if that has ended and left it
    /// behind, which it can where programs have no set of processes of their own.
    fn program(&self, host: &Host) -> io::Result<Option<SubPrin>> {
        let line = self.descent(this_process()?)?.line;
        let program = host.programs.of_processes(&line);
        Ok(program.map(|program| program.caller.subprin()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_descends_from_this_process_and_an_orphan_does_not() {
        let this = i32::try_from(std::process::id()).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = descent(pid, this).unwrap();
        assert_eq!((found.line, found.from_host), (vec![pid], true));
        let other = descent(pid, i32::MAX).unwrap();
        assert!(!other.from_host && other.line.contains(&this));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(descent(pid, this).is_err());
    }

    #[test]
    fn an_ancestor_whose_number_is_another_s_by_now_does_not_hide_the_host() {
        // 30, child of 20, which ends after the first look; 20 is then a child of init's, and 30 has
        // the first process of its set as its parent, which is the host's child.
        let mut looks = 0;
        let found = descent_by(30, 7, |pid| {
            looks += 1;
            Ok((
                match (pid, looks) {
                    (30, 1) => 20,
                    (30, _) => 10,
                    (20, _) => 1,
                    (10, _) => 7,
                    _ => 0,
                },
                true,
            ))
        });
        assert!(found.is_err_and(|error| error.to_string().contains("has ended")));
    }

    #[test]
    fn a_status_without_the_fields_is_refused() {
        assert_eq!(field("Name:\tPPid:\nPPid:\t7\n", "PPid:"), Some(7));
        assert_eq!(field("Name:\tPPid: 1\n", "PPid:"), None);
    }
}
