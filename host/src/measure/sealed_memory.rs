//! Memory with the bytes of a program, which nobody can change any more once it is sealed.

use std::{ffi::CStr, fs::File, io, os::fd::AsFd as _};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        stat::{Mode, fchmod},
    },
};

/// `name` is what a process that runs it is called in lists of processes.
///
/// MFD_EXEC: said where the kernel knows it (6.3), for systems where memory is otherwise
/// not executable (sysctl vm.memfd_noexec).
///
/// Executable but not readable: the kernel makes the process of such a file not dumpable, so
/// that others of its user cannot trace it.
pub(crate) fn sealable_memory(name: &CStr) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let exec = MFdFlags::from_bits_retain(0x10);
    let memory = memfd_create(name, flags | exec).or_else(|_| memfd_create(name, flags))?;
    fchmod(memory.as_fd(), Mode::from_bits_truncate(0o111))?;
    Ok(File::from(memory))
}

/// No more changes of contents or size.
pub(crate) fn seal(memory: &File) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(memory.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}
