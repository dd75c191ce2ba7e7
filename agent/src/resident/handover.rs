//! The copy of the agent that stays: forked off just before the real init takes over.
//!
//! The child executes itself again from a sealed memfd, so that nothing of the initramfs
//! stays in use and nothing is left in its memory but the boot secret: the host's keys come from it, and
//! `taoboot reseal` has it sealed again.
//! Its name begins with '@': systemd takes that for a process that belongs to the root
//! storage and does not kill it (systemd, ROOT_STORAGE_DAEMONS).

use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::{ForkResult, Pid, fexecve, pipe, setsid},
};
use tao::{
    attestation::BootEvent,
    keys::{Hidden, hibernation},
};
use zeroize::Zeroizing;

use crate::{
    host::HostSettings,
    resident::syscalls::{close_from, fork_single_threaded, lock_memory, take_fd},
    unlock::BootSecret,
};

/// argv[0] of the resident process.
pub const NAME: &str = "@taoboot";

/// Where the child finds its secret and its settings.
const SECRET_FD: i32 = 3;

/// What a pipe holds.
const USUAL_PIPE: i32 = 64 * 1024;

/// More than the settings ever are: the most that a pipe can be made to hold.
const MAX_SETTINGS: u64 = 1 << 20;

/// Why nothing stays.
#[derive(Debug, thiserror::Error)]
#[error("the Tao host cannot be started: {step}: {source}")]
pub struct ResidentError {
    step: &'static str,
    source: std::io::Error,
}

fn step<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> ResidentError {
    move |source| ResidentError {
        step,
        source: source.into(),
    }
}

/// Forks the Tao host. The parent goes on to become the real init.
pub fn fork_host(
    secret: &BootSecret,
    event: &BootEvent,
    settings: &HostSettings,
) -> Result<Pid, ResidentError> {
    let may_hibernate = settings.may_hibernate();
    let settings = settings.to_bytes().map_err(std::io::Error::from);
    let settings = settings.map_err(step("write the host's settings"))?;
    // The event is one line.
    let settings = [format!("{event}\n").as_bytes(), &settings].concat();
    let (read, write) = pipe().map_err(step("pipe"))?;
    // All of it has to fit: nobody reads yet.
    let size = i32::try_from(settings.len().saturating_add(1 + BootSecret::HANDOVER_LEN))
        .unwrap_or(i32::MAX);
    if size > USUAL_PIPE {
        fcntl(write.as_fd(), FcntlArg::F_SETPIPE_SZ(size))
            .map_err(step("make a pipe for the host's settings"))?;
    }
    let mut write = File::from(write);
    write
        .write_all(&[u8::from(may_hibernate)])
        .and_then(|()| write.write_all(secret.to_handover().as_slice()))
        .and_then(|()| write.write_all(&settings))
        .map_err(step("hand over the boot secret"))?;
    drop(write);
    match fork_single_threaded().map_err(step("fork"))? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let failure = become_host(read);
            // The parent is gone for us: the kernel log is the only place left.
            drop(std::fs::write(
                "/dev/kmsg",
                format!("<3>taoboot: {failure}\n"),
            ));
            std::process::exit(1)
        }
    }
}

fn become_host(secret: OwnedFd) -> ResidentError {
    let attempt = || -> Result<std::convert::Infallible, ResidentError> {
        setsid().map_err(step("setsid"))?;
        let program = sealed_copy_of_self().map_err(step("copy the agent into memory"))?;
        let secret = move_to(secret, SECRET_FD).map_err(step("place the boot secret"))?;
        fcntl(secret.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(step("keep the boot secret"))?;
        let arguments: Vec<CString> = [NAME, "host"]
            .iter()
            .filter_map(|word| CString::new(*word).ok())
            .collect();
        fexecve(program.as_fd(), &arguments, &[] as &[CString])
            .map_err(step("execute the agent's copy"))
    };
    match attempt() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// The memfd closes on exec: nothing but the running image itself refers to it afterwards.
fn sealed_copy_of_self() -> std::io::Result<OwnedFd> {
    let memfd = memfd_create(
        c"taoboot",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?;
    let mut copy = File::from(memfd);
    std::io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(copy.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(copy.into())
}

fn move_to(fd: OwnedFd, number: i32) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() == number {
        return Ok(fd);
    }
    take_fd(fd.into_raw_fd(), number)
}

/// What the executed copy does first: take the secret, lock memory, lose what it must not have.
pub fn take_secret() -> Result<(Hidden<BootSecret>, BootEvent, HostSettings), ResidentError> {
    let fd = take_fd(SECRET_FD, SECRET_FD).map_err(step("find the boot secret"))?;
    let mut pipe = File::from(fd);
    // Before the first secret is put anywhere.
    let mut may_hibernate = [0_u8];
    pipe.read_exact(&mut may_hibernate)
        .map_err(step("read whether the machine may hibernate"))?;
    let may_hibernate = may_hibernate != [0];
    if may_hibernate {
        hibernation::allow();
    }
    let secret = Hidden::new(|| {
        let mut secret = Zeroizing::new([0_u8; BootSecret::HANDOVER_LEN]);
        pipe.read_exact(secret.as_mut_slice())?;
        BootSecret::from_handover(&secret).map_err(std::io::Error::other)
    })
    .map_err(step("read the boot secret"))?;
    let mut settings = Vec::new();
    pipe.take(MAX_SETTINGS)
        .read_to_end(&mut settings)
        .map_err(step("read the host's settings"))?;
    let line = settings.iter().position(|byte| *byte == b'\n');
    let (event, settings) = line
        .and_then(|end| settings.split_at_checked(end))
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
        .map_err(step("read the boot event"))?;
    let event = std::str::from_utf8(event)
        .map_err(std::io::Error::other)
        .and_then(|event| event.parse().map_err(std::io::Error::other))
        .map_err(step("read the boot event"))?;
    let settings = HostSettings::from_bytes(settings).map_err(std::io::Error::other);
    let settings = settings.map_err(step("read the host's settings"))?;
    let settings = settings.hibernating(may_hibernate);
    close_from(SECRET_FD).map_err(step("close what was inherited"))?;
    Ok((secret, event, settings))
}

/// Makes the process hard to look into, to swap out and to kill for want of memory.
pub fn harden() -> Result<(), ResidentError> {
    nix::sys::prctl::set_dumpable(false).map_err(step("become undumpable"))?;
    lock_memory().map_err(step("lock memory"))?;
    std::fs::write("/proc/self/oom_score_adj", "-1000")
        .map_err(step("be spared by the OOM killer"))?;
    nix::unistd::chdir(Path::new("/")).map_err(step("chdir"))
}

/// Standard input, output and error of a process that has nobody to talk to.
pub fn detach_from_console() -> Result<(), ResidentError> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(step("open /dev/null"))?;
    for number in 0..3 {
        let copy = null.try_clone().map_err(step("detach from the console"))?;
        let placed =
            take_fd(copy.into_raw_fd(), number).map_err(step("detach from the console"))?;
        // 0, 1 and 2 belong to the process for good.
        std::mem::forget(placed);
    }
    Ok(())
}
