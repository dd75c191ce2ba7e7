//! Passing file descriptors over a Unix socket (SCM_RIGHTS, unix(7)).
#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends `bytes` with one descriptor.
pub fn send(stream: &UnixStream, bytes: &[u8], descriptor: &OwnedFd) -> Result<()> {
    let descriptors = [descriptor.as_raw_fd()];
    let sent = sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(bytes)],
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .context("cannot send a file descriptor")?;
    anyhow::ensure!(sent == bytes.len(), "a control message was cut short");
    Ok(())
}

/// Receives at most `buffer.len()` bytes and the last of the descriptors that came along.
pub fn receive(stream: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .context("cannot receive a control message")?;
    let mut owned = None;
    for control in message
        .cmsgs()
        .context("more file descriptors came than fit")?
    {
        if let ControlMessageOwned::ScmRights(descriptors) = control {
            for descriptor in descriptors {
                // SAFETY: the kernel has just installed this descriptor for this process,
                // and nothing else knows its number: we are its only owner.
                owned = Some(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }
    Ok((message.bytes, owned))
}
