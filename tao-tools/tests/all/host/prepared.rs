//! The set of processes that a host has ready for its next program.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tao_host::Confinement;

use super::{
    common::TestHost,
    exhausted::run,
    host_process::{HostProcess, Place},
    isolation::can,
};

/// The first processes of sets, by the host they belong to.
fn sets(host: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok());
    let belongs = |pid: &i32| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        read("cmdline").is_ok_and(|words| words.starts_with("tao-program-init"))
            && read("status").is_ok_and(|status| status.contains(&format!("\nPPid:\t{host}\n")))
    };
    numbers.filter(belongs).collect()
}

fn soon<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(got) = get() {
            return got;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a program to its end. Gives its set, and the one that waits then.
fn used_and_waiting(host: &HostProcess) -> (i32, i32) {
    let program = host.program();
    let both = soon("there are not two sets", || {
        <[i32; 2]>::try_from(sets(host.pid())).ok()
    });
    program.tao_name().unwrap();
    drop(program);
    let waits = soon("no set waits alone", || {
        <[i32; 1]>::try_from(sets(host.pid())).ok()
    });
    let used = both.into_iter().find(|set| *set != waits[0]).unwrap();
    (used, waits[0])
}

/// A host that does not see what others mount meanwhile.
fn with_own_mounts(place: &Place) -> HostProcess {
    let mut own = Command::new("unshare");
    // In a chroot `/` is not a mount, which unshare's own way of keeping mounts to itself wants.
    own.args(["-m", "--propagation", "unchanged"]);
    let shell = place.host("mount --make-rprivate / 2>/dev/null;");
    own.arg(shell.get_program()).args(shell.get_args());
    HostProcess::run(place, &mut own)
}

fn possible() -> bool {
    let host = TestHost::start(149);
    test_support::is_root() && can(&host, Confinement::Processes)
}

#[test]
fn each_program_gets_the_set_that_waited_and_none_gets_it_twice() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let host = with_own_mounts(&place);
    let (first, mut waits) = used_and_waiting(&host);
    let mut seen = vec![first];
    for _ in 0..3 {
        let (used, next) = used_and_waiting(&host);
        assert_eq!(used, waits);
        assert!(!seen.contains(&used) && !seen.contains(&next));
        seen.push(used);
        waits = next;
    }
}

#[test]
fn the_kernels_settings_mounted_after_a_set_was_made_are_read_only_for_its_program() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let late = place.path("late");
    std::fs::create_dir(&late).unwrap();
    let late = late.to_str().unwrap();
    let host = with_own_mounts(&place);
    let (_, made_before) = used_and_waiting(&host);
    let mounted = Command::new("nsenter")
        .args(["--mount", "--target", &host.pid().to_string()])
        .args(["mount", "-t", "sysfs", "late", late])
        .status();
    assert!(mounted.unwrap().success());
    let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", host.pid())).unwrap();
    assert!(table.contains(&format!(" {late} rw")), "{table}");
    let read_only = format!("grep -q ' {late} ro' /proc/self/mountinfo");
    assert_eq!(run(&mut host.admin(), &["/bin/sh", "-c", &read_only]), 0);
    assert!(!sets(host.pid()).contains(&made_before), "it still waits");
}

#[test]
fn a_set_that_waits_ends_with_a_host_that_is_killed() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let mut host = with_own_mounts(&place);
    let (_, set) = used_and_waiting(&host);
    host.kill();
    soon("the set outlives its host", || {
        let status = std::fs::read_to_string(format!("/proc/{set}/stat")).unwrap_or_default();
        // Nobody may be there who waits for it.
        let gone = status.is_empty() || status.contains(") Z ");
        gone.then_some(())
    });
}

#[test]
fn a_machine_that_shuts_down_need_not_wait_for_a_set_and_the_next_program_gets_another() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let host = with_own_mounts(&place);
    let (_, waits) = used_and_waiting(&host);
    let program = host.program();
    let next = soon("there are not two sets", || {
        <[i32; 2]>::try_from(sets(host.pid())).ok()
    });
    let next = next.into_iter().find(|set| *set != waits).unwrap();
    // As systemd-shutdown does, to all processes. The program handles it in its own way: its
    // set is not taken from it.
    for set in [waits, next] {
        kill(Pid::from_raw(set), Signal::SIGTERM).unwrap();
    }
    // Not even a zombie is left of the one that waited.
    soon("the set does not end", || {
        let gone = !std::path::Path::new(&format!("/proc/{next}")).exists();
        (gone && sets(host.pid()) == [waits]).then_some(())
    });
    program.tao_name().unwrap();
    assert_eq!(run(&mut host.admin(), &["/bin/true"]), 0);
    program.tao_name().unwrap();
}
