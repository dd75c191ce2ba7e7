//! What an administrator sends: bytes, and descriptors beside them.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};
use tao::descriptors;

/// Descriptors one message may carry; a program takes three.
const MOST_DESCRIPTORS: usize = 8;

/// Reads what is there into `space`, and appends the descriptors: how many bytes.
pub(crate) fn receive(
    stream: &UnixStream,
    space: &mut [u8],
    received: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut control = cmsg_space!([std::os::fd::RawFd; MOST_DESCRIPTORS]);
    let mut slices = [IoSliceMut::new(space)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            received.extend(descriptors::received(numbers));
        }
    }
    if received.len() > MOST_DESCRIPTORS {
        return Err(io::Error::other("more descriptors than any request needs"));
    }
    Ok(message.bytes)
}
