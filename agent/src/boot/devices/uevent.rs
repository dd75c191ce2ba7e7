//! The kernel's device events over netlink.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
        socket, sockopt,
    },
};

/// A device that came or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `change`, `remove`, ...
    pub action: String,
    /// `block`, `tpm`, `pci`, ...
    pub subsystem: String,
    /// Name of the node below /dev, if it has one.
    pub devname: Option<String>,
    /// What a driver would claim.
    pub modalias: Option<String>,
}

/// What was waiting in the socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// One event.
    Event(Uevent),
    /// A message that is none of the kernel's, or no event.
    Other,
    /// The kernel dropped events because the buffer was full: walk /sys again.
    Lost,
    /// Nothing within the time given.
    Timeout,
}

/// Events that have not been read yet.
pub struct UeventSocket(OwnedFd);

impl UeventSocket {
    /// Listens to the kernel's group from now on.
    pub fn open() -> nix::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // A burst of a thousand devices must not be lost; without the privilege the default stays.
        let buffer = 8 << 20;
        if setsockopt(&fd, sockopt::RcvBufForce, &buffer).is_err() {
            setsockopt(&fd, sockopt::RcvBuf, &buffer)?;
        }
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        Ok(Self(fd))
    }

    /// Waits for the next event.
    pub fn receive(&self, timeout: PollTimeout) -> nix::Result<Received> {
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout) {
            Ok(0) => return Ok(Received::Timeout),
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Received::Timeout),
            Err(error) => return Err(error),
        }
        let mut buffer = [0_u8; 8192];
        loop {
            let (length, sender) = match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                Ok(received) => received,
                Err(Errno::ENOBUFS) => return Ok(Received::Lost),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            };
            // CVE-2009-1185: only the kernel (port 0) may say that a device came.
            let from_kernel = sender.is_some_and(|address| address.pid() == 0);
            let event = buffer.get(..length).filter(|_| from_kernel).and_then(parse);
            return Ok(event.map_or(Received::Other, Received::Event));
        }
    }
}

/// `ACTION@DEVPATH`, then KEY=VALUE strings, each ended by a zero byte.
fn parse(message: &[u8]) -> Option<Uevent> {
    let mut event = Uevent::default();
    for field in message.split(|byte| *byte == 0).skip(1) {
        let Some((key, value)) = std::str::from_utf8(field)
            .ok()
            .and_then(|text| text.split_once('='))
        else {
            continue;
        };
        match key {
            "ACTION" => event.action = value.into(),
            "SUBSYSTEM" => event.subsystem = value.into(),
            "DEVNAME" => event.devname = Some(value.into()),
            "MODALIAS" => event.modalias = Some(value.into()),
            _ => {}
        }
    }
    (!event.action.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_kernel_is_read() {
        let message = b"add@/devices/virtio0\0ACTION=add\0DEVPATH=/devices/virtio0\0SUBSYSTEM=virtio\0MODALIAS=virtio:d2v1\0SEQNUM=7\0";
        let event = parse(message).unwrap();
        assert_eq!(event.action, "add");
        assert_eq!(event.modalias.as_deref(), Some("virtio:d2v1"));
        assert_eq!(event.devname, None);
    }

    #[test]
    fn other_messages_on_the_group_are_no_events() {
        for message in [&b""[..], b"libudev\0\xfe\xed", b"\xff\0ACTION\0=\0"] {
            assert_eq!(parse(message), None);
        }
    }
}
