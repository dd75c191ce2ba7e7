//! kill -9 before each single write that `taoboot enroll` does to the volume.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use agent::unlock::{enrolment::find_leftovers, find_records};
use nix::{
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::enroll_support::*;

/// System calls that change a file: write, pwrite64, writev, pwritev, ftruncate, fallocate,
/// fsync, fdatasync.
const WRITING: [u64; 8] = [1, 18, 20, 296, 77, 285, 74, 75];

/// Runs an enrolment and kills it at the entry of the `point`-th writing call on one of the images.
/// True if it ran to its end before.
pub fn enroll_killed_at(volumes: &[&Volume], tcti: &str, passphrase: &Path, point: usize) -> bool {
    let file = passphrase.to_str().unwrap();
    let mut arguments = vec![
        "--current",
        "--tcti",
        tcti,
        "--no-recovery-key",
        "--passphrase-file",
        file,
    ];
    let images: Vec<&Path> = volumes.iter().map(|v| v.image.as_path()).collect();
    for further in &images[1..] {
        arguments.extend(["--volume", further.to_str().unwrap()]);
    }
    killed_at(command("enroll", images[0], &arguments), &images, point)
}

/// Kills a command at the entry of the `point`-th writing call on one of the images. True if it ran to its end
/// before.
#[allow(clippy::zombie_processes)] // waitpid reaps it
pub fn killed_at(command: &mut Command, images: &[&Path], point: usize) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: PTRACE_TRACEME is a bare system call, fit for between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| ptrace::traceme().map_err(Into::into));
    }
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    waitpid(pid, None).unwrap();
    // Key derivation runs in threads of its own.
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD
        | ptrace::Options::PTRACE_O_EXITKILL
        | ptrace::Options::PTRACE_O_TRACECLONE;
    ptrace::setoptions(pid, options).unwrap();
    ptrace::syscall(pid, None).unwrap();
    let (mut entering, mut seen) = (true, 0);
    loop {
        // Of this test's thread only: other tests of this process wait for processes of their own.
        let own = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let status = waitpid(Pid::from_raw(-1), Some(own)).unwrap();
        let (thread, signal) = match status {
            WaitStatus::Exited(who, code) if who == pid => {
                assert_eq!(code, 0);
                return true;
            }
            WaitStatus::PtraceSyscall(thread) => {
                if thread == pid {
                    if entering && writes_to(pid, images) {
                        if seen == point {
                            child.kill().unwrap();
                            child.wait().ok();
                            return false;
                        }
                        seen += 1;
                    }
                    entering = !entering;
                }
                (thread, None)
            }
            WaitStatus::Stopped(thread, signal) => {
                // A new thread begins with a SIGSTOP, which it must not get.
                (
                    thread,
                    Some(signal).filter(|s| !matches!(s, Signal::SIGSTOP | Signal::SIGTRAP)),
                )
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            _ => continue,
        };
        // A thread may be gone by now.
        ptrace::syscall(thread, signal).ok();
    }
}

fn writes_to(pid: Pid, images: &[&Path]) -> bool {
    let registers = ptrace::getregs(pid).unwrap();
    WRITING.contains(&registers.orig_rax)
        && fs::read_link(format!("/proc/{pid}/fd/{}", registers.rdi))
            .is_ok_and(|to| images.contains(&to.as_path()))
}

#[test]
fn a_kill_at_any_write_leaves_the_volume_as_before_or_enrolled() {
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let volume = Volume::new();
    let passphrase = volume.directory.path().join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let pristine = fs::read(&volume.image).unwrap();
    let (mut enrolled, mut with_leftovers) = (0, 0);
    let mut point = 0;
    loop {
        fs::write(&volume.image, &pristine).unwrap();
        let finished = enroll_killed_at(&[&volume], &tcti, &passphrase, point);
        assert!(
            volume.opens_with(PASSPHRASE.as_bytes()),
            "killed at write {point}"
        );
        let records = find_records(&volume.header());
        assert!(
            records.iter().all(|(_, record)| record.is_ok()),
            "{point}: {records:?}"
        );
        if !records.is_empty() {
            let (secret, _) = unsealed(&volume, &swtpm).unwrap();
            let header = volume.header();
            let identity = header.identity();
            assert!(
                volume.opens_with(&secret.volume().volume_passphrase(identity)),
                "{point}"
            );
            enrolled += 1;
        }
        with_leftovers += usize::from(!find_leftovers(&volume.header()).is_empty());
        // The next run cleans up and succeeds.
        enroll_again(&volume, &swtpm);
        let header = volume.header();
        assert!(find_leftovers(&header).is_empty(), "{point}");
        assert_eq!(
            header.metadata().keyslots.len(),
            2,
            "an orphan is left at {point}"
        );
        if finished {
            break;
        }
        point += 1;
    }
    println!("{point} write points; {enrolled} enrolled, {with_leftovers} with leftovers");
    assert!(point >= 10, "only {point} write points were seen");
    assert!(enrolled >= 1 && with_leftovers >= 2);
}
