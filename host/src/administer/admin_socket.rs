//! The socket that administrators connect to. Only root can (mode 0600), or a group besides
//! if the host is told so; what somebody of that group may do the guard decides. (The
//! original's was open to everybody.)

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen,
        socket, sockopt::PeerCredentials,
    },
    unistd::{Gid, Uid},
};
use tao::descriptors;

use crate::{
    administer::{
        admin::AdminConnection,
        administrator::{self, Peer},
        host::Host,
    },
    connections::reactor::{Interest, Reactor, Source, Token},
    error::HostError,
};

const NAME: &str = "admin.sock";

/// Accepts administrators' connections.
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Given up for a moment when the process has no more descriptors, so that a
    /// connection can be taken and closed instead of being offered for ever.
    spare: Mutex<Option<File>>,
}

impl Listener {
    /// Makes the directory and the socket. A socket that nobody listens on is replaced.
    pub(crate) fn bind(dir: &Path, group: Option<u32>) -> Result<Self, HostError> {
        let path = dir.join(NAME);
        Self::bind_at(dir, &path, group).map_err(|source| HostError::Socket { path, source })
    }

    fn bind_at(dir: &Path, path: &Path, group: Option<u32>) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::other("another Tao host listens here")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?
            }
            Err(error) => return Err(error),
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        // Before anybody can connect.
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        std::os::unix::fs::chown(path, None, group)?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        listen(&socket, Backlog::new(128)?)?;
        let spare = Mutex::new(Some(File::open("/dev/null")?));
        Ok(Self {
            socket,
            path: path.to_owned(),
            spare,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn take(&self) -> nix::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let number = accept4(self.socket.as_raw_fd(), flags)?;
        descriptors::received(vec![number])
            .pop()
            .ok_or(Errno::EBADF)
    }

    fn turn_away(&self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        *spare = None;
        // Closed at once, which is the message; there may be none waiting any more.
        drop(self.take());
        // None to be had now: the next shortage is not answered, and one is tried for again then.
        *spare = File::open("/dev/null").ok();
    }
}

/// A listener at work: who connects administers this host.
pub(crate) struct Door {
    listener: Listener,
    host: Arc<Host>,
}

impl Door {
    /// Accepts administrators from now on.
    pub(crate) fn open(listener: Listener, host: &Arc<Host>) -> Result<(), HostError> {
        let door = Arc::new(Self {
            listener,
            host: Arc::clone(host),
        });
        let source = Arc::clone(&door);
        let reactor = &host.reactor;
        let add = |token| reactor.add(door.listener.as_fd(), token, Interest::Read);
        let admitted = reactor.admit(source, add);
        admitted.map_err(HostError::system("epoll"))
    }

    fn admit(&self, stream: OwnedFd) {
        let peer = match getsockopt(&stream, PeerCredentials) {
            Ok(peer) => peer,
            Err(error) => return log::warn!("an administrator without credentials: {error}"),
        };
        let process = peer.pid();
        let hosted = match administrator::hosted(&self.host, stream.as_fd(), process) {
            Ok(hosted) => hosted,
            Err(error) => {
                return log::warn!("process {process} is turned away as an administrator: {error}");
            }
        };
        let peer = Peer {
            uid: Uid::from_raw(peer.uid()),
            gid: Gid::from_raw(peer.gid()),
            hosted,
        };
        let host = Arc::clone(&self.host);
        let connection = Arc::new(AdminConnection::new(stream.into(), peer, host));
        if let Err(error) = connection.watch(&self.host.reactor) {
            log::warn!("an administrator's connection: {error}");
        }
    }
}

impl Source for Door {
    /// Takes all connections that wait.
    fn ready(self: Arc<Self>, reactor: &Arc<Reactor>, token: Token) {
        loop {
            match self.listener.take() {
                Ok(stream) => self.admit(stream),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(error @ (Errno::EMFILE | Errno::ENFILE)) => {
                    log::warn!("an administrator is turned away: {error}");
                    self.listener.turn_away();
                    break;
                }
                Err(error) => {
                    log::error!("no administrator can connect: {error}");
                    break;
                }
            }
        }
        if let Err(error) = reactor.arm(self.listener.as_fd(), token, Interest::Read) {
            log::error!("no administrator can connect any more: {error}");
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another host may have replaced it, or nobody may have: then it is gone already.
        drop(fs::remove_file(&self.path));
    }
}
