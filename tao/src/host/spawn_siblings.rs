//! A set of processes for one program: its PID name space.
//!
//! The process that the host forks can't enter it; only the processes that it makes then are
//! in it. It makes two, as children of the host: the first process of the set (see
//! `program_init`), and the program; it waits until they execute something else. The program's
//! process is made in its control group: to join one later would be most of what a start
//! costs.
#![allow(unsafe_code)]

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::AsRawFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    process::Command,
};

use nix::{
    errno::Errno,
    libc::{self, c_char, c_int, c_void},
    sys::prctl,
    unistd::setsid,
};

use super::{
    cgroup::Entrance,
    spawn_child::{Setup, become_program, become_user, close_range, join, own_proc},
};

/// Stack of such a process until it executes something.
const STACK: usize = 64 * 1024;
/// Length of what is shared.
const PAGE: usize = 4096;

/// What the program's process executes, and where it runs until then.
pub(super) struct Execution {
    path: CString,
    /// Arguments and environment: they stay where they are for as long as this exists.
    _strings: [Vec<CString>; 2],
    /// Their addresses; zero is the end.
    arguments: Vec<usize>,
    environment: Vec<usize>,
    stack: Vec<u128>,
    /// Address of a page that the host's child shares with the program's process: why that one
    /// has not executed the program, an error number.
    failed: usize,
}

impl Drop for Execution {
    fn drop(&mut self) {
        // SAFETY: the page was mapped for this alone.
        unsafe { libc::munmap(self.failed as *mut c_void, PAGE) };
    }
}

impl Execution {
    /// The same that the command executes; `name` is its argv[0], which it does not tell.
    pub(super) fn of(command: &Command, name: &str) -> io::Result<Self> {
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
        let named = [OsStr::new(name)].into_iter().chain(command.get_args());
        let arguments: Vec<CString> = named
            .map(|argument| string(argument.as_bytes().to_vec()))
            .collect::<Result<_, _>>()?;
        let variables = command.get_envs().filter_map(|(name, value)| {
            let mut variable: OsString = name.to_owned();
            variable.push("=");
            variable.push(value?);
            Some(string(variable.into_vec()))
        });
        let environment: Vec<CString> = variables.collect::<Result<_, _>>()?;
        let addresses = |strings: &[CString]| {
            let strings = strings.iter().map(|string| string.as_ptr() as usize);
            strings.chain([0]).collect::<Vec<_>>()
        };
        Ok(Execution {
            path: string(command.get_program().as_bytes().to_vec())?,
            arguments: addresses(&arguments),
            environment: addresses(&environment),
            // Moved, not copied.
            _strings: [arguments, environment],
            stack: vec![0; STACK / size_of::<u128>()],
            failed: shared_page()?,
        })
    }
}

/// A page that a child shares with its parent, all zero.
fn shared_page() -> io::Result<usize> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(page as usize)
}

/// What a new process and the one that waits for it share.
struct Sibling<'a> {
    setup: &'a Setup,
    /// Why it has not executed anything: an error number.
    failed: c_int,
}

/// Makes both processes, tells the host about them, and ends. Returns only if that failed.
pub(super) fn own_processes(setup: &Setup) -> io::Result<()> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
    let (init, failed) = sibling(setup, first_process)?;
    let (program, failed) = match failed {
        None => program_process(setup).inspect_err(|_| report(setup, init, 0))?,
        failed => (0, failed),
    };
    // Also those that have failed: the host waits for them.
    report(setup, init, program);
    if let Some(error) = failed {
        return Err(error);
    }
    // SAFETY: ends this process at once; it is a copy of the host with nothing to do.
    unsafe { libc::_exit(0) }
}

/// Makes a process with the same parent as this one, and waits until it has executed
/// something or failed. Gives its number, and why it failed.
fn sibling(
    setup: &Setup,
    main: extern "C" fn(*mut c_void) -> c_int,
) -> io::Result<(c_int, Option<io::Error>)> {
    let mut shared = Sibling { setup, failed: 0 };
    let stack = &setup.execution.stack;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: the stack is not used by anything else, as this process waits, and grows down
    // from its end; `main` gets the address of `shared`, which lives until then.
    let number = unsafe {
        let end = stack.as_ptr().add(stack.len()).cast_mut();
        libc::clone(main, end.cast(), flags, (&raw mut shared).cast())
    };
    let number = Errno::result(number)?;
    // The other process has written to it, which the compiler does not see.
    // SAFETY: a valid, aligned field.
    let failed = unsafe { (&raw const shared.failed).read_volatile() };
    Ok((
        number,
        (failed != 0).then(|| io::Error::from_raw_os_error(failed)),
    ))
}

fn run(argument: *mut c_void, work: impl FnOnce(&Setup) -> io::Result<()>) -> c_int {
    // SAFETY: `sibling` passes this, and nobody else uses it meanwhile.
    let shared = unsafe { &mut *argument.cast::<Sibling<'_>>() };
    let failed = work(shared.setup).err();
    let number = failed.and_then(|error| error.raw_os_error());
    shared.failed = number.unwrap_or(libc::EIO);
    1
}

extern "C" fn first_process(argument: *mut c_void) -> c_int {
    run(argument, become_init)
}

/// struct clone_args.
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

const INTO_CGROUP: u64 = 1 << 33;

/// fork(2) with the same parent, into the control group; 0 in the new process.
fn fork_into(group: Option<&Entrance>) -> io::Result<c_int> {
    let flags = libc::CLONE_PARENT | libc::CLONE_VFORK;
    let mut arguments = CloneArguments {
        flags: u64::from(flags.cast_unsigned()),
        ..CloneArguments::default()
    };
    if let Some(group) = group {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::from(group.folder.as_raw_fd().cast_unsigned());
    }
    // SAFETY: a structure whose size is given; without CLONE_VM the new process goes on with a
    // copy of everything.
    let number = unsafe {
        let size = size_of::<CloneArguments>();
        libc::syscall(libc::SYS_clone3, &raw const arguments, size)
    };
    Ok(c_int::try_from(Errno::result(number)?).unwrap_or_default())
}

/// Makes the program's process, and waits until it has executed the program or failed. Gives
/// its number, and why it failed.
fn program_process(setup: &Setup) -> io::Result<(c_int, Option<io::Error>)> {
    let (mut joined, mut made) = (true, fork_into(setup.group.as_ref()));
    if made.is_err() {
        // A kernel before 5.7, or a sandbox that does not know the call.
        (joined, made) = (setup.group.is_none(), fork_into(None));
    }
    let number = made?;
    let failed = setup.execution.failed;
    if number != 0 {
        // SAFETY: the shared page lives as long as `setup`.
        let failed = unsafe { (failed as *const c_int).read_volatile() };
        let error = (failed != 0).then(|| io::Error::from_raw_os_error(failed));
        return Ok((number, error));
    }
    let error = execute(setup, joined)
        .err()
        .and_then(|error| error.raw_os_error());
    // SAFETY: as above; and ends this process.
    unsafe {
        (failed as *mut c_int).write_volatile(error.unwrap_or(libc::EIO));
        libc::_exit(1)
    }
}

fn execute(setup: &Setup, joined: bool) -> io::Result<()> {
    if let Some(group) = setup.group.as_ref().filter(|_| !joined) {
        join(group)?;
    }
    own_proc()?;
    become_program(setup)?;
    let execution = &setup.execution;
    // SAFETY: strings that end with a zero, and lists of their addresses that do too.
    unsafe {
        libc::execve(
            execution.path.as_ptr(),
            execution.arguments.as_ptr().cast::<*const c_char>(),
            execution.environment.as_ptr().cast::<*const c_char>(),
        );
    }
    Err(io::Error::last_os_error())
}

/// Tells the host which processes are its children. If it can't be told, it notices by the
/// pipe's end.
fn report(setup: &Setup, init: c_int, program: c_int) {
    let numbers = [init, program];
    // SAFETY: writes those 8 bytes.
    unsafe {
        libc::write(
            setup.report.as_raw_fd(),
            numbers.as_ptr().cast(),
            size_of_val(&numbers),
        );
    }
}

/// The first process: nothing of the host stays with it.
fn become_init(setup: &Setup) -> io::Result<()> {
    setsid()?;
    prctl::set_no_new_privs()?;
    if let Some((uid, gid)) = setup.become_user {
        become_user(uid, gid)?;
    }
    // SAFETY: integers and constant strings; the descriptor is open. Ended with the host's
    // thread that started it: with the host, that is.
    unsafe {
        Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        Errno::result(libc::chdir(c"/".as_ptr()))?;
        Errno::result(libc::dup3(setup.init.as_raw_fd(), 0, libc::O_CLOEXEC))?;
        close_range(1, 0)?;
        // The kernel then waits for the orphans itself.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        let arguments = [c"tao-program-init".as_ptr(), std::ptr::null()];
        let no_environment = [std::ptr::null::<c_char>()];
        let executed = libc::syscall(
            libc::SYS_execveat,
            0,
            c"".as_ptr(),
            arguments.as_ptr(),
            no_environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        Errno::result(executed)?;
    }
    Ok(())
}
