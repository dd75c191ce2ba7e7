//! In the new process: the loopback of a network of its own is switched on. Only system calls.
#![allow(unsafe_code)]

use std::io;

use nix::{errno::Errno, libc};

/// 127.0.0.1 answers.
pub(crate) fn up() -> io::Result<()> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: integers; a structure of the size that these requests read and write, with a name
    // that ends with a zero; the descriptor is used and closed here only.
    unsafe {
        let socket = Errno::result(libc::socket(libc::AF_INET, kind, 0))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = from.cast_signed();
        }
        let asked = Errno::result(libc::ioctl(socket, libc::SIOCGIFFLAGS, &raw mut request));
        let done = asked.and_then(|_| {
            request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
            Errno::result(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request))
        });
        libc::close(socket);
        done?;
    }
    Ok(())
}
