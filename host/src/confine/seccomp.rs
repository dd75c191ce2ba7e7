//! The filter of system calls for hosted programs: classic BPF over the call's number
//! (seccomp(2)). [`allowed_calls`](crate::confine::allowed_calls) pass; some of them with some arguments
//! only. Others fail: with EPERM those that older kernels have too, with ENOSYS the newer ones,
//! so that a program does without them as on an older kernel. Calls of another architecture end
//! the program: their numbers mean something else.
//!
//! Namespaces of users are what most ways into the kernel begin with (CVE-2022-0185,
//! CVE-2023-32233, CVE-2024-1086): in one of its own a program has all capabilities. So no call
//! makes or enters a namespace.

use nix::libc::{self, c_int, c_long, sock_filter};

use crate::confine::allowed_calls::{ALLOWED, ALLOWED_LATE, ALLOWED_OLD};

/// Calls from here on fail with ENOSYS if they are not allowed: Linux 5.1 began to number
/// them the same on all processors.
const NEWER: u32 = 424;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers from here on are x32 calls (x86-64 with 32-bit pointers).
const X32: u32 = 0x4000_0000;

/// All kinds of namespaces: CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET.
const NAME_SPACES: u32 = 0x7e02_0000;
/// CLONE_NEWTIME; the same bit is part of a signal's number for clone(2).
const TIME_SPACE: u32 = 0x80;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The lower half of an argument; the processors are little-endian.
const fn argument(index: u32) -> u32 {
    index.saturating_mul(8).saturating_add(16)
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_OF: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn step(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

const fn errno(number: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.unsigned_abs()
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// This answer.
    Return(u32),
    /// It depends: the entry of [`CHECKS`] decides.
    Check(usize),
}

const ALLOW: Verdict = Verdict::Return(libc::SECCOMP_RET_ALLOW);

/// Calls that are allowed with some arguments.
#[derive(Clone, Copy)]
struct Check {
    call: c_long,
    /// Which argument, and the bits of it that are looked at.
    argument: u32,
    mask: u32,
    /// Its values, and what they are answered; any other gets `otherwise`.
    values: &'static [(u32, u32)],
    otherwise: u32,
}

const REFUSE: u32 = errno(libc::EPERM);
const PASS: u32 = libc::SECCOMP_RET_ALLOW;

/// Kinds of files that mknod(2) makes: devices.
const KIND: u32 = libc::S_IFMT;
const DEVICES: &[(u32, u32)] = &[(libc::S_IFCHR, REFUSE), (libc::S_IFBLK, REFUSE)];

/// Families of sockets that programs need. NETLINK is looked at once more.
const FAMILIES: &[(u32, u32)] = &[
    (libc::AF_UNIX.unsigned_abs(), PASS),
    (libc::AF_INET.unsigned_abs(), PASS),
    (libc::AF_INET6.unsigned_abs(), PASS),
];

/// Pairs are of this family only: those of others (TIPC) are sockets like any other, and to ask for
/// one has the kernel load its driver.
const PAIRS: &[(u32, u32)] = &[(libc::AF_UNIX.unsigned_abs(), PASS)];

/// Sends input to a terminal as if it were typed (CVE-2023-28339); the console's own; a line
/// discipline is a driver that anybody could load (CVE-2023-6546); a network device.
const IOCTLS: &[(u32, u32)] = &[
    (0x5412, REFUSE),
    (0x541c, REFUSE),
    (0x5423, REFUSE),
    (0x4004_54ca, REFUSE),
];

/// Ways to run that are not for running old programs.
const PERSONALITIES: &[(u32, u32)] = &[
    (0, PASS),
    (0x8, PASS),
    (0x2_0000, PASS),
    (0x2_0008, PASS),
    (u32::MAX, PASS),
];

const fn check(
    call: c_long,
    argument: u32,
    values: &'static [(u32, u32)],
    otherwise: u32,
) -> Check {
    Check {
        call,
        argument,
        mask: u32::MAX,
        values,
        otherwise,
    }
}

const fn masked(call: c_long, argument: u32, mask: u32, values: &'static [(u32, u32)]) -> Check {
    Check {
        call,
        argument,
        mask,
        values,
        otherwise: PASS,
    }
}

#[cfg(target_arch = "x86_64")]
const MKNOD: c_long = libc::SYS_mknod;
/// There is mknodat only.
#[cfg(not(target_arch = "x86_64"))]
const MKNOD: c_long = -1;

/// `clone3` has its flags in memory, where a filter cannot look: it is as if the kernel did not
/// have it, and C libraries use `clone`.
const CHECKS: [Check; 8] = [
    check(libc::SYS_clone, 0, &[], PASS),
    check(libc::SYS_unshare, 0, &[], PASS),
    check(libc::SYS_socket, 0, FAMILIES, errno(libc::EAFNOSUPPORT)),
    check(libc::SYS_socketpair, 0, PAIRS, errno(libc::EAFNOSUPPORT)),
    check(libc::SYS_ioctl, 1, IOCTLS, PASS),
    check(libc::SYS_personality, 0, PERSONALITIES, REFUSE),
    masked(MKNOD, 1, KIND, DEVICES),
    masked(libc::SYS_mknodat, 2, KIND, DEVICES),
];

impl Check {
    /// The steps that decide; each way ends in an answer.
    fn steps(&self, vsock: bool) -> Vec<sock_filter> {
        let mut steps = vec![step(LOAD, argument(self.argument), 0, 0)];
        let forbidden = match self.call {
            libc::SYS_clone => NAME_SPACES,
            libc::SYS_unshare => NAME_SPACES | TIME_SPACE,
            _ => 0,
        };
        if forbidden != 0 {
            steps.push(step(ANY_OF, forbidden, 0, 1));
            steps.push(step(RETURN, REFUSE, 0, 0));
        }
        if self.mask != u32::MAX {
            steps.push(step(AND, self.mask, 0, 0));
        }
        for (value, answer) in self.values {
            steps.push(step(EQUAL, *value, 0, 1));
            steps.push(step(RETURN, *answer, 0, 0));
        }
        if self.call == libc::SYS_socket {
            if vsock {
                steps.push(step(EQUAL, libc::AF_VSOCK.unsigned_abs(), 0, 1));
                steps.push(step(RETURN, PASS, 0, 0));
            }
            // Of netlink only what asks for interfaces and routes: others (NETFILTER, for one)
            // talk to parts of the kernel that no program needs.
            steps.push(step(EQUAL, libc::AF_NETLINK.unsigned_abs(), 0, 3));
            steps.push(step(LOAD, argument(2), 0, 0));
            steps.push(step(EQUAL, libc::NETLINK_ROUTE.unsigned_abs(), 0, 1));
            steps.push(step(RETURN, PASS, 0, 0));
        }
        steps.push(step(RETURN, self.otherwise, 0, 0));
        steps
    }
}

/// From this number on, up to the next such, calls get this answer.
type From = (u32, Verdict);

/// The filter. It depends on nothing but this file and the list, and on whether programs may talk
/// to virtual machines, or to what theirs runs on.
///
/// The call's number is searched for, not compared with one after the other: when a process
/// takes the filter the kernel runs it for each system call that there is (to remember which
/// are always allowed), and that is a good part of a program's start.
pub(crate) fn filter(vsock: bool) -> Vec<sock_filter> {
    let mut filter = vec![
        step(LOAD, ARCH, 0, 0),
        step(EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        step(LOAD, NUMBER, 0, 0),
    ];
    filter.extend(search(&answers(), vsock));
    filter
}

/// What becomes of the call with that number.
fn verdict(number: u32) -> Verdict {
    let call = c_long::from(number);
    if let Some(check) = CHECKS.iter().position(|check| check.call == call) {
        return Verdict::Check(check);
    }
    let lists: [&[c_long]; 3] = [&ALLOWED, &ALLOWED_LATE, &ALLOWED_OLD];
    match lists.iter().any(|list| list.contains(&call)) {
        true => ALLOW,
        false if number < NEWER => Verdict::Return(REFUSE),
        false => Verdict::Return(errno(libc::ENOSYS)),
    }
}

/// All numbers, in ranges with the same answer.
fn answers() -> Vec<From> {
    /// Beyond every number that is in a list.
    const LAST: u32 = 512;
    let mut answers: Vec<From> = Vec::new();
    for number in 0..=LAST {
        let verdict = verdict(number);
        if answers.last().is_none_or(|(_, last)| *last != verdict) {
            answers.push((number, verdict));
        }
    }
    if cfg!(target_arch = "x86_64") {
        answers.push((X32, Verdict::Return(libc::SECCOMP_RET_KILL_PROCESS)));
    }
    answers
}

/// A binary search, and behind it each answer once.
fn search(answers: &[From], vsock: bool) -> Vec<sock_filter> {
    let mut verdicts: Vec<Verdict> = answers.iter().map(|(_, answer)| *answer).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    let tests = answers.len().saturating_sub(1);
    let mut endings = Vec::new();
    let mut places = Vec::new();
    for verdict in &verdicts {
        places.push(endings.len().saturating_add(tests));
        match verdict {
            Verdict::Return(answer) => endings.push(step(RETURN, *answer, 0, 0)),
            Verdict::Check(check) => {
                let check = CHECKS.get(*check);
                endings.extend(check.iter().flat_map(|check| check.steps(vsock)));
            }
        }
    }
    let place = |verdict: Verdict| {
        let at = verdicts.partition_point(|other| *other < verdict);
        places.get(at).copied().unwrap_or(tests)
    };
    let mut steps = Vec::new();
    halve(answers, &mut steps, &place);
    steps.extend(endings);
    steps
}

/// Adds the tests that halve the ranges until one is left: where they begin, or where the
/// answer of the only range is.
fn halve(
    answers: &[From],
    steps: &mut Vec<sock_filter>,
    place: &dyn Fn(Verdict) -> usize,
) -> usize {
    let (below, above) = answers.split_at(answers.len() / 2);
    let (Some((from, _)), false) = (above.first(), below.is_empty()) else {
        return above.first().map_or(0, |(_, answer)| place(*answer));
    };
    let at = steps.len();
    steps.push(step(AT_LEAST, *from, 0, 0));
    // Jumps are of 255 steps at most; a test runs all ways.
    let over = |to: usize| u8::try_from(to.saturating_sub(at).saturating_sub(1)).unwrap_or(u8::MAX);
    let below = over(halve(below, steps, place));
    let above = over(halve(above, steps, place));
    if let Some(test) = steps.get_mut(at) {
        (test.jt, test.jf) = (above, below);
    }
    at
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
