//! A socket by which one hosted program reaches the host: for a program that cannot inherit
//! descriptors, or that wants several connections. All of them speak for the same program.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen,
        socket,
        sockopt::{PeerCredentials, PeerPidfd},
    },
    unistd::{Uid, geteuid},
};

use crate::{
    calls::{caller::Caller, service::TaoService},
    connections::{
        reactor::{Interest, Reactor, Source, Token},
        session::Session,
    },
    start::hosted_process::HostedProcess,
};
use tao::{descriptors::received, keys::random, process::PidFd};

/// Connections of a program at one time.
const MOST: usize = 16;

/// Whose socket it is.
struct Owner {
    pid: i32,
    /// The program's own set of processes, if it has one: its PID namespace.
    processes: Option<u64>,
}

#[derive(Default)]
struct State {
    token: Token,
    closed: bool,
    sessions: Vec<Weak<Session>>,
}

/// A program's socket.
pub(crate) struct ProgramSocket {
    socket: OwnedFd,
    path: PathBuf,
    caller: Arc<Caller>,
    service: Arc<TaoService>,
    uid: Uid,
    owner: OnceLock<Owner>,
    state: Mutex<State>,
}

fn pid_name_space(pid: i32) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{pid}/ns/pid"))?.ino())
}

impl ProgramSocket {
    /// Makes a socket with a name that cannot be guessed, which only this user can open.
    pub(crate) fn bind(
        dir: &Path,
        caller: Arc<Caller>,
        service: Arc<TaoService>,
        uid: Uid,
    ) -> io::Result<Self> {
        // Programs of a host that is not root run as it does, also those that root starts.
        let uid = match geteuid() {
            own if own.is_root() => uid,
            own => own,
        };
        let dir = dir.join("programs");
        match fs::DirBuilder::new().mode(0o711).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        let mut name = [0; 16];
        random(&mut name).map_err(io::Error::other)?;
        let path = dir.join(hex::encode(name));
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
        // From here on it is removed with this.
        let made = Self {
            socket,
            path,
            caller,
            service,
            uid,
            owner: OnceLock::new(),
            state: Mutex::default(),
        };
        // Before anybody can connect.
        fs::set_permissions(&made.path, Permissions::from_mode(0o600))?;
        if geteuid().is_root() {
            chown(&made.path, Some(uid.as_raw()), None)?;
        }
        listen(&made.socket, Backlog::new(MOST as i32)?)?;
        Ok(made)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A panic elsewhere leaves a list that is as good as before.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program has been started: from now on only it may connect.
    pub(crate) fn belongs_to(&self, process: &HostedProcess) {
        let pid = process.program.pid;
        let owner = Owner {
            pid,
            // It has not been waited for, so it is still there in some form.
            processes: process.init.as_ref().and_then(|init| {
                pid_name_space(init.pid)
                    .inspect_err(|error| log::warn!("process {pid}: {error}"))
                    .ok()
            }),
        };
        // It is called once.
        drop(self.owner.set(owner));
    }

    /// Has the reactor tell when somebody connects.
    pub(crate) fn watch(self: &Arc<Self>, reactor: &Reactor) -> io::Result<()> {
        reactor.admit(Arc::clone(self) as _, |token| {
            self.state().token = token;
            reactor.add(self.socket.as_fd(), token, Interest::Read)
        })
    }

    /// Nobody speaks for the program any more.
    pub(crate) fn close(&self, reactor: &Reactor) {
        let mut state = self.state();
        state.closed = true;
        let (token, sessions) = (state.token, std::mem::take(&mut state.sessions));
        drop(state);
        reactor.forget(token);
        for session in sessions.iter().filter_map(Weak::upgrade) {
            session.close(reactor);
        }
    }

    /// Is it the program, or another process of its own set?
    fn admits(&self, uid: Uid, pid: i32) -> bool {
        let Some(owner) = self.owner.get() else {
            return false;
        };
        // Of a set of processes of its own every process is the program's.
        let same_set = |processes| pid_name_space(pid).is_ok_and(|found| found == processes);
        uid == self.uid && (pid == owner.pid || owner.processes.is_some_and(same_set))
    }

    fn take(&self) -> nix::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let number = accept4(self.socket.as_raw_fd(), flags)?;
        received(vec![number]).pop().ok_or(Errno::EBADF)
    }

    fn admit(&self, reactor: &Reactor, stream: OwnedFd) -> io::Result<()> {
        let peer = getsockopt(&stream, PeerCredentials)?;
        let process = peer_process(&stream, peer.pid())?;
        // What the number says is true only if the process still has it afterwards: it may have
        // connected, ended, and left its number to one of the program's.
        let admitted = self.admits(Uid::from_raw(peer.uid()), peer.pid());
        if !admitted || process.has_ended()? {
            let sentence = format!("process {} is not the program", peer.pid());
            return Err(io::Error::other(sentence));
        }
        let responses = File::from(stream.try_clone()?);
        let caller = Arc::clone(&self.caller);
        let session = Arc::new(Session::new(
            caller,
            Arc::clone(&self.service),
            stream.into(),
            responses,
        ));
        let mut state = self.state();
        state.sessions.retain(|session| session.strong_count() > 0);
        if state.closed || state.sessions.len() >= MOST {
            let sentence = format!("it has {MOST} connections, or has ended");
            return Err(io::Error::other(sentence));
        }
        state.sessions.push(Arc::downgrade(&session));
        drop(state);
        session.watch(reactor)
    }
}

impl Source for ProgramSocket {
    /// Takes the connections that wait.
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token) {
        loop {
            match self.take() {
                Ok(stream) => {
                    if let Err(error) = self.admit(reactor, stream) {
                        log::warn!("{}: {error}", self.caller.started_as());
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(error) => {
                    // Not armed again: without descriptors it would be offered for ever.
                    let name = self.caller.started_as();
                    return log::error!("{name}: it cannot connect any more: {error}");
                }
            }
        }
        if self.state().closed {
            return;
        }
        if let Err(error) = reactor.arm(self.socket.as_fd(), token, Interest::Read) {
            log::error!("{}: {error}", self.caller.started_as());
        }
    }
}

/// The process that connected. Before Linux 6.5 only its number is known, and this is the process
/// that has it now.
fn peer_process(stream: &OwnedFd, pid: i32) -> io::Result<PidFd> {
    match getsockopt(stream, PeerPidfd) {
        Ok(process) => Ok(process.into()),
        Err(Errno::ENOPROTOOPT) => PidFd::open(pid),
        Err(error) => Err(error.into()),
    }
}

impl Drop for ProgramSocket {
    fn drop(&mut self) {
        // Somebody may have removed it before.
        drop(fs::remove_file(&self.path));
    }
}
