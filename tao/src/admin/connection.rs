//! A connection to a host: requests, with the descriptors that go along, and answers.

use std::{
    io::{self, IoSlice, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::error::AdminError;
use crate::wire::{
    Inbox,
    messages::{AdminRequest, AdminResponse, ResponseHeader},
    proto2::{self, Proto2},
    rpc,
};

/// A connection to a host.
pub struct Admin {
    stream: UnixStream,
    inbox: Inbox,
    seq: u64,
}

impl Admin {
    /// Connects to the host that listens at `path`, normally [`ADMIN_SOCKET`](super::ADMIN_SOCKET).
    ///
    /// # Errors
    /// When nobody listens there, or this process may not connect.
    pub fn connect(path: &Path) -> Result<Self, AdminError> {
        let stream = UnixStream::connect(path).map_err(|source| AdminError::NoHost {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            stream,
            inbox: Inbox::default(),
            seq: 0,
        })
    }

    pub(super) fn send(
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

    pub(super) fn receive<R: Proto2>(&mut self) -> Result<R, AdminError> {
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

    pub(super) fn call(
        &mut self,
        op: &str,
        request: &AdminRequest,
    ) -> Result<AdminResponse, AdminError> {
        self.send(&admin(op), request, &[])?;
        self.receive()
    }
}

impl AsFd for Admin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The call's name on the wire.
pub(super) fn admin(op: &str) -> String {
    format!("{}.{op}", rpc::ADMIN_SERVICE)
}
