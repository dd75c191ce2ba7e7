//! Whose files a request names: the kernel's word on who connected, and a thread that has the
//! rights of theirs over files and no others.
//!
//! Only what the kernel calls the file system's identity (credentials(7)) is changed: with the
//! caller's real or saved user a thread of the host could be ended by the caller's kill(2), and
//! the host with it.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    libc::{self, gid_t, uid_t},
    unistd::{getegid, geteuid},
};

/// Most groups of one user: NGROUPS_MAX.
const MOST_GROUPS: usize = 65_536;
/// Groups of nearly everybody.
const FEW_GROUPS: usize = 64;
/// No user and no group: setfsuid(2) changes nothing and tells the present one.
const NOBODY_AT_ALL: uid_t = uid_t::MAX;

/// User, group and further groups of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    uid: uid_t,
    gid: gid_t,
    groups: Vec<gid_t>,
}

/// The option of a socket at the other end of `stream`.
fn peer<T: Copy>(
    stream: BorrowedFd<'_>,
    option: libc::c_int,
    values: &mut [T],
) -> Result<usize, Errno> {
    let mut length = libc::socklen_t::try_from(size_of_val(values)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes as many bytes as there are at most, and says how many.
    let got = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    Errno::result(got)?;
    let bytes = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    bytes.checked_div(size_of::<T>()).ok_or(Errno::EINVAL)
}

impl Credentials {
    /// Who connected `stream`, as it was then.
    pub(crate) fn of_peer(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let none = libc::ucred {
            pid: 0,
            uid: NOBODY_AT_ALL,
            gid: NOBODY_AT_ALL,
        };
        let mut one = [none];
        peer(stream, libc::SO_PEERCRED, &mut one)?;
        let [peer_is] = one;
        if peer_is.uid == NOBODY_AT_ALL || peer_is.gid == NOBODY_AT_ALL {
            return Err(io::Error::other("the process that connected is not known"));
        }
        let mut groups: Vec<gid_t> = vec![0; FEW_GROUPS];
        let count = match peer(stream, libc::SO_PEERGROUPS, &mut groups) {
            Err(Errno::ERANGE) => {
                groups.resize(MOST_GROUPS, 0);
                peer(stream, libc::SO_PEERGROUPS, &mut groups)
            }
            other => other,
        };
        groups.truncate(count?);
        Ok(Self {
            uid: peer_is.uid,
            gid: peer_is.gid,
            groups,
        })
    }

    /// Whoever has at least this process's own rights: its user, or root, whose rights do not
    /// depend on its groups.
    pub(crate) fn is_own(&self) -> bool {
        self.uid == 0 || (self.uid == geteuid().as_raw() && self.gid == getegid().as_raw())
    }

    /// This thread has these rights over files from now on, and no capabilities. Only system
    /// calls; on an error it may have some of the rights, and is to be ended.
    pub(crate) fn adopt(&self) -> io::Result<()> {
        self.enter()?;
        drop_capabilities()
    }

    /// This thread has these rights over files, until [`Credentials::leave`]. Only system calls.
    ///
    /// The kernel takes root's powers over files away with root's identity, and gives them
    /// back with it.
    pub(crate) fn enter(&self) -> io::Result<()> {
        // The C library's functions would have all threads of the process do the same.
        // SAFETY: a list whose length is given, and integers.
        let grouped =
            unsafe { libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()) };
        Errno::result(grouped)?;
        change(libc::SYS_setfsgid, self.gid)?;
        change(libc::SYS_setfsuid, self.uid)
    }

    /// Back to the process's own user and group, and to no further groups. Only system calls.
    pub(crate) fn leave() -> io::Result<()> {
        // SAFETY: they cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        change(libc::SYS_setfsuid, uid)?;
        change(libc::SYS_setfsgid, gid)
    }
}

/// setfsuid(2) and setfsgid(2) tell what was before, and nothing of a failure.
fn change(call: libc::c_long, to: uid_t) -> io::Result<()> {
    // SAFETY: integers only; as a system call it changes this thread alone.
    let now = unsafe {
        libc::syscall(call, to);
        libc::syscall(call, NOBODY_AT_ALL)
    };
    match uid_t::try_from(now) {
        Ok(now) if now == to => Ok(()),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// struct __user_cap_header_struct.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// struct __user_cap_data_struct.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// All capabilities of this thread, for good: some let it look into other processes' files
/// (CAP_SYS_PTRACE) whatever its user is.
fn drop_capabilities() -> io::Result<()> {
    let header = CapabilityHeader {
        // _LINUX_CAPABILITY_VERSION_3.
        version: 0x2008_0522,
        pid: 0,
    };
    let none = CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    let none = [none; 2];
    // SAFETY: the kernel reads both structures, of the sizes that the version has.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    Errno::result(set)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{
            fd::AsFd as _,
            unix::{fs::PermissionsExt as _, net::UnixStream},
        },
    };

    use super::*;

    #[test]
    fn the_other_end_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let found = Credentials::of_peer(one.as_fd()).unwrap();
        assert!(found.is_own(), "{found:?}");
        let own = nix::unistd::getgroups().unwrap();
        let own: Vec<_> = own.iter().map(|group| group.as_raw()).collect();
        assert_eq!(found.groups, own);
    }

    #[test]
    fn a_thread_with_anothers_rights_reads_what_they_may_read_and_the_others_are_as_before() {
        if !geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (roots, everybodys, groups) = (
            file("root", 0o600),
            file("all", 0o644),
            file("group", 0o640),
        );
        std::os::unix::fs::chown(&groups, None, Some(64_323)).unwrap();
        let caller = Credentials {
            uid: 64_321,
            gid: 64_322,
            groups: vec![64_323],
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                caller.adopt().unwrap();
                assert!(fs::read(&roots).is_err());
                assert!(fs::read(&everybodys).is_ok());
                assert!(fs::read(&groups).is_ok());
                // Not even the host's own secrets by way of another process.
                assert!(fs::read("/proc/1/environ").is_err());
                fs::read(&roots).is_err()
            });
            assert!(thread.join().unwrap());
        });
        assert!(fs::read(&roots).is_ok());
        // For a moment, in a thread that goes on.
        std::thread::spawn(move || {
            caller.enter().unwrap();
            assert!(fs::read(&roots).is_err());
            Credentials::leave().unwrap();
            assert!(fs::read(&roots).is_ok());
        })
        .join()
        .unwrap();
    }
}
