//! The filter of system calls for hosted programs: classic BPF over the call's number
//! (seccomp(2)). What is listed fails with EPERM; calls of another architecture end the
//! program: their numbers mean something else.

use nix::libc::{self, c_long, sock_filter};

/// Calls that look into other processes, load code into the kernel, change mounts, name
/// spaces, clocks or swap, or offer more kernel than a program needs.
const DENIED: [c_long; 54] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_lookup_dcookie,
    libc::SYS_fanotify_init,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_mbind,
    libc::SYS_nfsservctl,
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers from here on are x32 calls (x86-64 with 32-bit pointers).
const X32: u32 = 0x4000_0000;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn step(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// From this number on, up to the next such, calls get this answer.
type From = (u32, u32);

/// The filter. It depends on nothing but this file.
///
/// The call's number is searched for, not compared with one after the other: when a process
/// takes the filter the kernel runs it for each system call that there is (to remember which
/// are always allowed), and that is a good part of a program's start.
pub(super) fn filter() -> Vec<sock_filter> {
    let mut filter = vec![
        step(LOAD, ARCH, 0, 0),
        step(EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        step(LOAD, NUMBER, 0, 0),
    ];
    filter.extend(search(&answers()));
    filter
}

/// All numbers, in ranges with the same answer.
fn answers() -> Vec<From> {
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut denied: Vec<u32> = DENIED
        .iter()
        .filter_map(|number| u32::try_from(*number).ok())
        .collect();
    denied.sort_unstable();
    let mut answers = vec![(0, libc::SECCOMP_RET_ALLOW)];
    for number in denied {
        // Directly behind another one: the range grows.
        answers.pop_if(|(from, _)| *from == number);
        if answers.last().is_none_or(|(_, answer)| *answer != refuse) {
            answers.push((number, refuse));
        }
        answers.push((number + 1, libc::SECCOMP_RET_ALLOW));
    }
    if cfg!(target_arch = "x86_64") {
        answers.push((X32, libc::SECCOMP_RET_KILL_PROCESS));
    }
    answers
}

/// A binary search, and behind it each answer once.
fn search(answers: &[From]) -> Vec<sock_filter> {
    let mut verdicts: Vec<u32> = answers.iter().map(|(_, answer)| *answer).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    let mut steps = Vec::new();
    let tests = answers.len().saturating_sub(1);
    halve(answers, &mut steps, &|answer| {
        tests + verdicts.partition_point(|verdict| *verdict < answer)
    });
    let returns = verdicts.iter().map(|verdict| step(RETURN, *verdict, 0, 0));
    steps.extend(returns);
    steps
}

/// Adds the tests that halve the ranges until one is left: where they begin, or where the
/// answer of the only range is.
fn halve(answers: &[From], steps: &mut Vec<sock_filter>, place: &dyn Fn(u32) -> usize) -> usize {
    let (below, above) = answers.split_at(answers.len() / 2);
    let (Some((from, _)), false) = (above.first(), below.is_empty()) else {
        return above.first().map_or(0, |(_, answer)| place(*answer));
    };
    let at = steps.len();
    steps.push(step(AT_LEAST, *from, 0, 0));
    // Jumps are of 255 steps at most; a test runs all ways.
    let over = |to: usize| u8::try_from(to - at - 1).unwrap_or(u8::MAX);
    let below = over(halve(below, steps, place));
    let above = over(halve(above, steps, place));
    if let Some(test) = steps.get_mut(at) {
        (test.jt, test.jf) = (above, below);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does, on one call.
    fn run(filter: &[sock_filter], architecture: u32, number: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &filter[at];
            let holds = match step.code {
                LOAD => {
                    value = if step.k == ARCH { architecture } else { number };
                    at += 1;
                    continue;
                }
                EQUAL => value == step.k,
                AT_LEAST => value >= step.k,
                RETURN => return step.k,
                other => panic!("{other}"),
            };
            at += 1 + usize::from(if holds { step.jt } else { step.jf });
        }
    }

    #[test]
    fn listed_calls_fail_others_pass_and_other_architectures_end_the_program() {
        let filter = filter();
        for number in 0..600 {
            let expected = if DENIED.contains(&c_long::from(number)) {
                libc::SECCOMP_RET_ERRNO | libc::EPERM as u32
            } else {
                libc::SECCOMP_RET_ALLOW
            };
            let verdict = run(&filter, ARCHITECTURE, u32::try_from(number).unwrap());
            assert_eq!(verdict, expected, "{number}");
        }
        assert!(filter.len() < 100, "{} steps", filter.len());
        let kill = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(run(&filter, 0x4000_0003, 1), kill);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(run(&filter, ARCHITECTURE, X32 + 1), kill);
        }
    }
}
