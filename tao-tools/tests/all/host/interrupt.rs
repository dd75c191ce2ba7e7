//! A host that is killed (SIGKILL) at a chosen system call of the thread that writes its state.
//! Used by the agent's tests too.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::{
    libc,
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// More system calls than one change takes by far.
pub const MOST_STEPS: u32 = 200;

/// Before which system calls the host may be killed.
#[derive(Clone, Copy)]
#[allow(dead_code)] // each test program uses one of them
pub enum Steps {
    /// Each one.
    All,
    /// Those that change something, or tell another process (a TPM) to.
    Writes,
}

impl Steps {
    fn include(self, call: u64) -> bool {
        const WRITES: [i64; 16] = [
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_pwrite64,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_openat,
            libc::SYS_mkdirat,
            libc::SYS_mkdir,
            libc::SYS_ftruncate,
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_rename,
            libc::SYS_renameat,
            libc::SYS_renameat2,
            libc::SYS_unlink,
            libc::SYS_unlinkat,
        ];
        match self {
            Self::All => true,
            Self::Writes => WRITES.iter().any(|write| u64::try_from(*write) == Ok(call)),
        }
    }
}

/// The thread that writes the table of counters.
fn writer(host: i32) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{host}/task")).unwrap();
    let writer = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == "tao-counters");
    let name = writer.unwrap();
    Pid::from_raw(name.file_name().unwrap().to_str().unwrap().parse().unwrap())
}

/// Lets the thread run until it is about to make the system call number `step` of those, and
/// leaves it there; returns as well if `done` was set before that.
fn run_until(thread: Pid, steps: Steps, step: u32, done: &AtomicBool) {
    let mut entries = 0;
    loop {
        match waitpid(thread, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::StillAlive if done.load(Ordering::SeqCst) => return,
            WaitStatus::StillAlive => std::thread::yield_now(),
            WaitStatus::PtraceSyscall(_) => {
                let stop = ptrace::syscall_info(thread).unwrap();
                if stop.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    // SAFETY: the kernel says that it is this variant.
                    #[allow(unsafe_code)]
                    let call = unsafe { stop.u.entry.nr };
                    entries += u32::from(steps.include(call));
                    if entries == step {
                        return;
                    }
                }
                ptrace::syscall(thread, None).unwrap();
            }
            _ => ptrace::syscall(thread, None).unwrap(),
        }
    }
}

/// Makes a call; the host is killed at the given step of it, and `reaped`. The call's result.
pub fn interrupted<T: Send, E: Send>(
    host: i32,
    (steps, step): (Steps, u32),
    call: impl FnOnce() -> Result<T, E> + Send,
    reaped: impl FnOnce(),
) -> Result<T, E> {
    let thread = writer(host);
    ptrace::seize(thread, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
    ptrace::interrupt(thread).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let result = call();
            done.store(true, Ordering::SeqCst);
            result
        });
        run_until(thread, steps, step, &done);
        kill(Pid::from_raw(host), Signal::SIGKILL).unwrap();
        // Who watches a thread must hear of its end before its process can end.
        while !matches!(
            waitpid(thread, Some(WaitPidFlag::__WALL)),
            Ok(WaitStatus::Signaled(..)) | Err(_)
        ) {}
        reaped();
        call.join().unwrap()
    })
}
