//! A new process that runs one function of the host's before it executes a program: in the
//! host's memory, on a stack of its own, while the thread that asked for it waits.
//!
//! That is vfork(2) with a choice of namespaces and a control group. Nothing is copied: to
//! copy the page tables takes longer than all the rest of a start, and a copy would hold the
//! host's keys. The function may make system calls only: every lock, every byte of memory and
//! even errno are the host's.
//!
//! Nobody can look into the host through such a process: when it becomes another user, the
//! kernel makes its memory, which is the host's, not dumpable. And the kernel's OOM killer
//! passes over a process whose parent waits in vfork(2): otherwise it would end with it
//! whoever shares its memory.
#![allow(unsafe_code)]

use std::{io, mem::MaybeUninit, os::fd::AsRawFd, ptr};

use nix::{
    errno::Errno,
    libc::{self, c_int, c_void},
};

use crate::confine::cgroup::GroupFiles;
use tao::process::wait;

/// Bytes of the new process's stack.
const STACK: usize = 64 * 1024;

/// What the new process does: it returns if it could not execute the program.
pub(crate) type Body<'a> = &'a dyn Fn(InGroup) -> io::Error;

/// Whether a process was made in its group, or has to move there.
#[derive(Clone, Copy)]
pub(crate) struct InGroup(bool);

impl InGroup {
    /// Moves into the group, if there is one and this process is not in it.
    pub(crate) fn join(self, group: Option<&GroupFiles>) -> io::Result<()> {
        if let (Some(group), false) = (group, self.0) {
            // SAFETY: writes one byte, which means this process.
            Errno::result(unsafe {
                libc::write(group.processes.as_raw_fd(), c"0".as_ptr().cast(), 1)
            })?;
        }
        Ok(())
    }
}

struct Child<'a> {
    body: Body<'a>,
    in_group: InGroup,
    failed: Option<io::Error>,
}

/// Runs `body` in a new process with the new namespaces of `spaces` (`CLONE_NEW…`). Gives
/// the process's number once it has executed a program; the error of `body` if it has not.
pub(crate) fn start(
    spaces: c_int,
    group: Option<&GroupFiles>,
    body: Body<'_>,
) -> io::Result<c_int> {
    let mut stack: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(STACK);
    let mut child = Child {
        body,
        in_group: InGroup(true),
        failed: None,
    };
    let signals = Signals::blocked()?;
    // Where it is not made in its group it moves there, which takes milliseconds: the kernel
    // waits until no other process of the machine is being made.
    let made = group
        .and_then(|group| clone_into(spaces, group, &mut stack, &mut child).ok())
        .map_or_else(
            || {
                child.in_group = InGroup(false);
                clone(spaces, &mut stack, &mut child)
            },
            Ok,
        );
    drop(signals);
    let number = made?;
    match child.failed.take() {
        None => Ok(number),
        Some(error) => {
            wait(number)?;
            Err(error)
        }
    }
}

/// Where the new process begins.
extern "C" fn begin(child: *mut c_void) -> c_int {
    // SAFETY: `start` passes its own; its thread waits for as long as this runs.
    let child = unsafe { &mut *child.cast::<Child<'_>>() };
    child.failed = Some((child.body)(child.in_group));
    // SAFETY: ends the new process at once; nothing of the host's runs in it.
    unsafe { libc::_exit(127) }
}

/// The end of the stack, where it begins to be used.
fn top(stack: &mut [MaybeUninit<u8>]) -> *mut c_void {
    let top = stack.as_mut_ptr_range().end;
    // Both processors want 16.
    top.map_addr(|address| address & !15).cast()
}

const SHARED: c_int = libc::CLONE_VM | libc::CLONE_VFORK;

fn clone(spaces: c_int, stack: &mut [MaybeUninit<u8>], child: &mut Child<'_>) -> io::Result<c_int> {
    let flags = SHARED | spaces | libc::SIGCHLD;
    // SAFETY: the stack and `child` stay where they are until the new process has left this
    // memory, which this call waits for.
    let number = unsafe { libc::clone(begin, top(stack), flags, ptr::from_mut(child).cast()) };
    Ok(Errno::result(number)?)
}

/// struct clone_args as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The same, made in its control group. Not every kernel and sandbox has it, and the C
/// library does not: it is the one system call after which the stack is another.
#[cfg(target_arch = "x86_64")]
fn clone_into(
    spaces: c_int,
    group: &GroupFiles,
    stack: &mut [MaybeUninit<u8>],
    child: &mut Child<'_>,
) -> io::Result<c_int> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let lowest = stack.as_mut_ptr() as u64;
    let arguments = CloneArguments {
        flags: u64::from((SHARED | spaces).cast_unsigned()) | INTO_CGROUP,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: lowest,
        stack_size: (top(stack) as u64).saturating_sub(lowest),
        cgroup: group.directory.as_raw_fd().cast_unsigned().into(),
        ..CloneArguments::default()
    };
    let mut number = libc::SYS_clone3;
    // SAFETY: the kernel reads the arguments, whose size is given. The new process calls
    // `begin`, which never returns, on its own stack; all that it uses stays where it is
    // until it has left this memory, which the system call waits for.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {child}",
            "call {begin}",
            "ud2",
            "2:",
            child = in(reg) ptr::from_mut(child),
            begin = in(reg) begin as extern "C" fn(*mut c_void) -> c_int,
            inout("rax") number,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<CloneArguments>(),
            // The kernel leaves its return address and flags there.
            out("rcx") _,
            out("r11") _,
        );
    }
    match c_int::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(io::Error::from_raw_os_error(
            number
                .checked_neg()
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or(libc::EINVAL),
        )),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn clone_into(
    _: c_int,
    _: &GroupFiles,
    _: &mut [MaybeUninit<u8>],
    _: &mut Child<'_>,
) -> io::Result<c_int> {
    Err(io::ErrorKind::Unsupported.into())
}

/// All signals blocked in this thread, those of the C library too, until this is dropped: a
/// handler would run in the new process, with this one's memory.
struct Signals {
    before: u64,
}

impl Signals {
    fn blocked() -> io::Result<Self> {
        let mut before = 0;
        set_signals(u64::MAX, &raw mut before)?;
        Ok(Self { before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // It cannot fail with addresses that are right.
        drop(set_signals(self.before, ptr::null_mut()));
    }
}

/// Blocks these signals (bit 0 is number 1) in this thread, and no others; tells which were.
pub(crate) fn set_signals(blocked: u64, before: *mut u64) -> io::Result<()> {
    // SAFETY: reads one set of signals, writes another, of that size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const blocked,
            before,
            size_of::<u64>(),
        )
    };
    Errno::result(done)?;
    Ok(())
}

/// In the new process: no signal is handled, ignored or blocked.
pub(crate) fn default_signals() -> io::Result<()> {
    // exec resets handlers but keeps what is ignored.
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no code, and the table of handlers is not shared. What
        // cannot be set is refused, harmlessly: SIGKILL, SIGSTOP, and two of the C library's.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
    set_signals(0, ptr::null_mut())
}

#[cfg(test)]
#[path = "clone_tests.rs"]
mod tests;
