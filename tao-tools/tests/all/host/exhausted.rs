//! A host that has no more disk, descriptors or connections to give: it says so, serves those
//! it has, and goes on when there is more again.

use std::{
    os::unix::net::UnixStream,
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::geteuid,
};
use tao::limits::Limits;
use tao::{
    admin::{Admin, ProgramUser, Start},
    client::{CallError, Parent, SealPolicy},
};

use test_support::is_root;

use super::{
    common::{raw, users_of_its_own},
    host_process::{HostProcess, Place},
};

fn seal(program: &Parent, label: &str) -> Result<Vec<u8>, CallError> {
    program.rollback_protected_seal(label, b"x", SealPolicy::Own)
}

/// Runs a program to its end and gives its status.
pub fn run(admin: &mut Admin, words: &[&str]) -> i32 {
    let arguments: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
    let program = admin.start(&Start {
        path: words[0],
        args: &arguments,
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: None,
    });
    admin.begin_wait(&program.unwrap()).unwrap();
    admin.finish_wait().unwrap()
}

#[test]
fn on_a_full_disk_counters_stand_still_and_all_else_goes_on() {
    let place = Place::new();
    let state = place.path("state");
    std::fs::create_dir(&state).unwrap();
    // A disk of its own for the host, which only it and its programs see.
    let mut disk = Command::new("unshare");
    disk.arg(if geteuid().is_root() { "-m" } else { "-rm" });
    // In a chroot `/` is not a mount, which unshare's own way of keeping mounts to itself wants.
    disk.args(["--propagation", "unchanged"]);
    let mount = "mount --make-rprivate / 2>/dev/null; \
                 mount -t tmpfs -o size=128k,mode=700 state \"$2\" &&";
    let host = place.host(mount);
    disk.arg(host.get_program()).args(host.get_args());
    let host = HostProcess::run(&place, &mut disk);
    let program = host.program();
    let first = seal(&program, "a").unwrap();
    let fill = state.join("fill");
    let fill = fill.to_str().unwrap();
    let write = format!("head -c 1000000 /dev/zero >{fill}; test -s {fill}");
    assert_eq!(run(&mut host.admin(), &["/bin/sh", "-c", &write]), 0);
    // One that needs more room than the table has now.
    let error = seal(&program, &"b".repeat(1000)).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(seal(&program, "a").is_err());
    // Nothing went back, nothing was lost, and the others notice nothing.
    assert_eq!(program.counter("a"), Ok(1));
    assert!(program.rollback_protected_unseal(&first).is_ok());
    let plain = program.seal(b"plain", SealPolicy::Own).unwrap();
    assert!(program.unseal(&plain).is_ok());
    assert!(host.program().tao_name().is_ok());
    if geteuid().is_root() {
        // A program that was never started here gets no user, and is not started as another's.
        let error = host.admin().start(&Start {
            path: "/bin/true",
            args: &[],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: None,
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the programs' users"), "{error}");
    }
    let remove = format!("rm {fill}");
    assert_eq!(run(&mut host.admin(), &["/bin/sh", "-c", &remove]), 0);
    let second = seal(&program, "a").unwrap();
    assert!(program.rollback_protected_unseal(&second).is_ok());
    assert!(program.rollback_protected_unseal(&first).is_err());
    assert_eq!(program.counter("a"), Ok(2));
}

/// What fills the disk are the files of the user that is deleted, and nothing else makes room.
#[test]
fn on_a_full_disk_a_user_is_deleted_with_the_files_that_fill_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let state = place.path("state");
    std::fs::create_dir(&state).unwrap();
    let mut disk = Command::new("unshare");
    disk.args(["-m", "--propagation", "unchanged"]);
    let users = users_of_its_own();
    let mount = format!(
        "mount --make-rprivate / 2>/dev/null; \
         mount -t tmpfs -o size=128k,mode=700 state \"$2\" && \
         echo '{}' >\"$2/users\" &&",
        users.trim()
    );
    let host = place.host(&mount);
    disk.arg(host.get_program()).args(host.get_args());
    let host = HostProcess::run(&place, &mut disk);
    let fill = state.join("fill");
    let fill = fill.to_str().unwrap();
    let write = format!("head -c 1000000 /dev/zero >{fill}; test -s {fill}");
    assert_eq!(run(&mut host.admin(), &["/bin/sh", "-c", &write]), 0);
    let user = host.admin().users().unwrap().remove(0);
    // As the host sees it.
    let table = format!("/proc/{}/root{}", host.pid(), state.join("users").display());
    let before = std::fs::read_to_string(&table).unwrap();
    host.admin()
        .delete_user(&ProgramUser::Number(user.uid))
        .unwrap();
    assert!(host.admin().users().unwrap().is_empty());
    let after = std::fs::read_to_string(&table).unwrap();
    assert_eq!(before.len(), after.len());
    assert!(
        after.starts_with("next ") && after.contains("\n-"),
        "{after}"
    );
    // There is room again, and the number is nobody's.
    assert_eq!(run(&mut host.admin(), &["/bin/sh", "-c", "true"]), 0);
    let next = host.admin().users().unwrap().remove(0);
    assert_eq!(next.uid, user.uid + 1);
    assert!(!std::fs::read_to_string(&table).unwrap().contains("\n-"));
}

#[test]
fn without_descriptors_no_more_is_started_and_what_runs_is_served() {
    let place = Place::new();
    let host = HostProcess::run(&place, &mut place.host("ulimit -n 64;"));
    let mut running = Vec::new();
    let mut admin = host.admin();
    let refused = loop {
        let started = admin.start(&Start {
            path: "/bin/sleep",
            args: &["300".to_owned()],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: None,
        });
        match started {
            Ok(program) => running.push(program),
            Err(error) => break error.to_string(),
        }
        assert!(running.len() < 64, "no limit was met");
        assert_eq!(
            admin.list().unwrap().len(),
            running.len(),
            "one ended by itself"
        );
    };
    assert!(refused.contains("Too many open files"), "{refused}");
    assert!(running.len() > 3, "{}", running.len());
    // Connections beyond the limit are closed at once; those that were there are answered.
    let late: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(host.socket()))
        .collect();
    assert_eq!(admin.list().unwrap().len(), running.len());
    drop(late);
    admin.kill(&running[0].subprin).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !admin.list().unwrap().is_empty() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(host.program().tao_name().is_ok());
}

#[test]
fn thousands_of_connections_that_say_nothing_or_half_of_something_keep_nobody_waiting() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    // Others of this process need descriptors too.
    let count = 10_000.min(usize::try_from(most).unwrap().saturating_sub(2000));
    assert!(count > 500, "a limit of {most} open files shows nothing");
    let place = Place::new();
    let host = HostProcess::start(&place);
    let program = host.program();
    let connect = |number: usize| {
        let mut stream = UnixStream::connect(host.socket()).unwrap();
        if number.is_multiple_of(2) {
            // Half a frame that promises much.
            std::io::Write::write_all(&mut stream, &[1, 0x3f, 0, 0, 7]).unwrap();
        }
        stream
    };
    let started = Instant::now();
    let streams: Vec<_> = (0..count).map(connect).collect();
    assert!(program.tao_name().is_ok());
    assert_eq!(host.admin().list().unwrap().len(), 1);
    assert!(raw(&mut host.admin()).program.pid > 0);
    assert!(started.elapsed() < Duration::from_secs(60));
    // Each holds what a connection needs, not what its frame promises.
    let resident = host.resident();
    println!("{count} connections: {resident} MiB");
    assert!(resident < 192, "{resident} MiB for {count} connections");
    drop(streams);
    assert!(program.tao_name().is_ok());
    assert!(host.program().tao_name().is_ok());
}

#[test]
fn a_program_that_closes_its_channel_runs_on_and_disturbs_nobody() {
    let place = Place::new();
    let host = HostProcess::start(&place);
    let program = host.program();
    let close = "exec 3<&- 4>&-; sleep 0.2; exit 7";
    let status = run(&mut host.admin(), &["/bin/sh", "-c", close]);
    assert_eq!(status >> 8, 7);
    assert!(program.tao_name().is_ok());
}
