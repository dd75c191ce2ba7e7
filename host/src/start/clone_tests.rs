use std::{
    os::unix::process::CommandExt as _,
    process::Command,
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use nix::{
    sys::{signal::Signal, wait::WaitStatus, wait::waitpid},
    unistd::{Pid, geteuid},
};

use super::*;
use crate::confine::confinements::become_user;
use tao::process;

/// A user that nobody is.
const STRANGER: u32 = 64_322;

#[test]
fn what_keeps_the_body_from_executing_is_told_and_nothing_is_left() {
    let number = AtomicI32::new(0);
    let error = start(0, None, &|_| {
        // SAFETY: touches no memory.
        number.store(unsafe { libc::getpid() }, Ordering::SeqCst);
        io::Error::from_raw_os_error(libc::ELIBBAD)
    });
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ELIBBAD));
    // It ran in this memory, and has been waited for.
    let number = number.load(Ordering::SeqCst);
    assert!(number > 0 && number != std::process::id().cast_signed());
    assert_eq!(
        waitpid(Pid::from_raw(number), None),
        Err(nix::errno::Errno::ECHILD)
    );
}

/// Can a process of that user trace this one?
fn can_trace(user: u32, pid: i32) -> bool {
    // SAFETY: the child makes system calls only and ends by one.
    let spy = unsafe {
        match libc::fork() {
            0 => {
                libc::syscall(libc::SYS_setresuid, user, user, user);
                let traced = libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0);
                libc::_exit(i32::from(traced != 0))
            }
            spy => spy,
        }
    };
    match waitpid(Pid::from_raw(spy), None).unwrap() {
        WaitStatus::Exited(_, code) => code == 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_user_can_not_look_into_the_host_through_a_process_that_is_not_yet_the_program() {
    if !geteuid().is_root() {
        return;
    }
    let mut other = Command::new("sleep")
        .arg("60")
        .uid(STRANGER)
        .spawn()
        .unwrap();
    // The program, not what comes before it.
    while std::fs::read_to_string(format!("/proc/{}/comm", other.id())).unwrap() != "sleep\n" {
        thread::sleep(Duration::from_millis(1));
    }
    let traced = can_trace(STRANGER, other.id().cast_signed());
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(
        traced,
        "the spy cannot trace anything: this test shows nothing"
    );

    let number = AtomicI32::new(0);
    thread::scope(|scope| {
        let starts = scope.spawn(|| {
            start(0, None, &|_| {
                if let Err(error) = become_user(STRANGER, STRANGER) {
                    return error;
                }
                // SAFETY: touch no memory.
                unsafe {
                    number.store(libc::getpid(), Ordering::SeqCst);
                    libc::pause();
                }
                io::ErrorKind::Other.into()
            })
        });
        let pid = loop {
            match number.load(Ordering::SeqCst) {
                0 => thread::yield_now(),
                pid => break pid,
            }
        };
        let traced = can_trace(STRANGER, pid);
        process::kill(pid, Signal::SIGKILL).unwrap();
        // Killed before it could fail: that is for whoever waits for it.
        assert_eq!(starts.join().unwrap().unwrap(), pid);
        process::wait(pid).unwrap();
        assert!(!traced);
    });
}
