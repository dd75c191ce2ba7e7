//! The filter, run as the kernel does; `host::system_calls` of tao-tools has programs make the calls.

use super::*;

/// Runs the filter on one call.
fn run(filter: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 3]) -> u32 {
    let (mut at, mut value) = (0, 0);
    loop {
        let step = &filter[at];
        at += 1;
        let holds = match step.code {
            LOAD => {
                value = match step.k {
                    NUMBER => number,
                    ARCH => architecture,
                    other => arguments[(other as usize - 16) / 8],
                };
                continue;
            }
            AND => {
                value &= step.k;
                continue;
            }
            EQUAL => value == step.k,
            AT_LEAST => value >= step.k,
            ANY_OF => value & step.k != 0,
            RETURN => return step.k,
            other => panic!("{other}"),
        };
        at += usize::from(if holds { step.jt } else { step.jf });
    }
}

fn call(number: c_long, arguments: [u32; 3]) -> u32 {
    let number = u32::try_from(number).unwrap();
    run(&filter(false), ARCHITECTURE, number, arguments)
}

#[test]
fn listed_calls_pass_and_all_others_fail() {
    let filter = filter(false);
    for number in 0..4096 {
        let found = run(&filter, ARCHITECTURE, number, [0; 3]);
        let call = c_long::from(number);
        let listed = ALLOWED.contains(&call) || ALLOWED_LATE.contains(&call);
        let expected = match number {
            _ if CHECKS.iter().any(|check| check.call == call) => continue,
            _ if listed || ALLOWED_OLD.contains(&call) => PASS,
            ..NEWER => REFUSE,
            _ => errno(libc::ENOSYS),
        };
        assert_eq!(found, expected, "{number}");
    }
    // No jump is longer than it can be.
    let longest = super::filter(true).len();
    assert!(longest < 255, "{longest} steps");
}

#[test]
fn other_architectures_end_the_program() {
    let kill = libc::SECCOMP_RET_KILL_PROCESS;
    assert_eq!(run(&filter(false), 0x4000_0003, 1, [0; 3]), kill);
    if cfg!(target_arch = "x86_64") {
        for number in [X32, X32 + 1, u32::MAX] {
            assert_eq!(run(&filter(false), ARCHITECTURE, number, [0; 3]), kill);
        }
    }
}

#[test]
fn no_name_space_is_made() {
    // A thread, a process.
    for flags in [0x3d_0f00, 0x0120_0011, 0] {
        assert_eq!(call(libc::SYS_clone, [flags, 0, 0]), PASS, "{flags:#x}");
    }
    for bit in 0..32 {
        let flag = 1 << bit;
        let made = flag & NAME_SPACES != 0;
        let expected = if made { REFUSE } else { PASS };
        assert_eq!(
            call(libc::SYS_clone, [flag | 0x11, 0, 0]),
            expected,
            "{flag:#x}"
        );
        let expected = if made || flag == TIME_SPACE {
            REFUSE
        } else {
            PASS
        };
        assert_eq!(call(libc::SYS_unshare, [flag, 0, 0]), expected, "{flag:#x}");
    }
    assert_eq!(call(libc::SYS_clone3, [0; 3]), errno(libc::ENOSYS));
    assert_eq!(call(libc::SYS_setns, [0; 3]), REFUSE);
    // open_tree_attr, listmount, statmount.
    for number in [467, 458, 457] {
        assert_eq!(call(number, [0; 3]), errno(libc::ENOSYS));
    }
}

#[test]
fn sockets_are_of_the_families_that_programs_need() {
    for family in 0..64 {
        for protocol in 0..32 {
            let expected = match family {
                1 | 2 | 10 => PASS,
                16 if protocol == 0 => PASS,
                _ => errno(libc::EAFNOSUPPORT),
            };
            let found = call(libc::SYS_socket, [family, 1, protocol]);
            assert_eq!(found, expected, "{family} {protocol}");
            // By policy.
            let number = u32::try_from(libc::SYS_socket).unwrap();
            let found = run(&filter(true), ARCHITECTURE, number, [family, 1, protocol]);
            let expected = if family == 40 { PASS } else { expected };
            assert_eq!(found, expected, "{family} {protocol}");
        }
        let expected = match family {
            1 => PASS,
            _ => errno(libc::EAFNOSUPPORT),
        };
        let found = call(libc::SYS_socketpair, [family, 1, 0]);
        assert_eq!(found, expected, "a pair of {family}");
    }
}

#[test]
fn devices_terminals_and_personalities_are_looked_at() {
    for (mode, expected) in [
        (0o010_644, PASS),
        (0o100_644, PASS),
        (0o644, PASS),
        (0o020_644, REFUSE),
        (0o060_644, REFUSE),
    ] {
        assert_eq!(call(libc::SYS_mknodat, [0, 0, mode]), expected, "{mode:o}");
        if MKNOD >= 0 {
            assert_eq!(call(MKNOD, [0, mode, 0]), expected, "{mode:o}");
        }
    }
    for (request, expected) in [(0x5401, PASS), (0x5412, REFUSE), (0x4004_54ca, REFUSE)] {
        assert_eq!(
            call(libc::SYS_ioctl, [0, request, 0]),
            expected,
            "{request:x}"
        );
    }
    assert_eq!(call(libc::SYS_personality, [0, 0, 0]), PASS);
    assert_eq!(call(libc::SYS_personality, [0x0040_0000, 0, 0]), REFUSE);
}
