//! While programs are measured, those that run get their answers; and what is measured is
//! bounded.
#![allow(unsafe_code)]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use tao::{
    admin::Start,
    wire::{messages::TaoRequest, rpc},
};
use tao::{guard::GuardSource, limits::Limits};

use super::{
    common::{Setup, TestHost, executable},
    isolation::text,
};

/// Whoever reads the file waits until this says that they may (fanotify(7)).
struct Held {
    events: fs::File,
}

impl Held {
    /// `None` where this cannot be had.
    fn new(path: &Path) -> Option<Self> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: integers, and a string that ends with a zero; the descriptor is new.
        let events = unsafe {
            let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC;
            let number = libc::fanotify_init(flags, libc::O_RDONLY.cast_unsigned());
            if number < 0 {
                return None;
            }
            let events = OwnedFd::from_raw_fd(number);
            let marked = libc::fanotify_mark(
                number,
                libc::FAN_MARK_ADD,
                libc::FAN_ACCESS_PERM,
                libc::AT_FDCWD,
                path.as_ptr(),
            );
            (marked == 0).then_some(events)?
        };
        Some(Self {
            events: events.into(),
        })
    }

    /// The next who waits; none after a while.
    fn next(&mut self) -> Option<i32> {
        let mut ready = [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(20_000).unwrap();
        if poll(&mut ready, patience).unwrap() == 0 {
            return None;
        }
        // struct fanotify_event_metadata: one at a time.
        let mut event = [0; 24];
        assert_eq!(self.events.read(&mut event).unwrap(), event.len());
        Some(i32::from_ne_bytes(event[16..20].try_into().unwrap()))
    }

    /// Lets one go on.
    fn allow(&mut self, file: i32) {
        let answer: Vec<u8> = [file.to_ne_bytes(), libc::FAN_ALLOW.to_ne_bytes()].concat();
        self.events.write_all(&answer).unwrap();
        // SAFETY: the kernel made this descriptor for the event.
        drop(unsafe { OwnedFd::from_raw_fd(file) });
    }
}

fn name_call(seq: u64) -> Vec<u8> {
    let mut call = Vec::new();
    rpc::write_request(&mut call, "Tao.GetTaoName", seq, &TaoRequest::default()).unwrap();
    call
}

/// How many starts there are at once: more than the host has threads of any kind.
const STARTS: usize = 12;

#[test]
fn a_call_is_answered_while_every_start_waits_for_a_file_that_does_not_come() {
    let host = TestHost::start(170);
    let path = host.path("slow");
    executable(&path, &fs::read("/bin/true").unwrap());
    let mut running = host.raw();
    running.call(&name_call(0));
    let Some(held) = Held::new(&path) else {
        return;
    };
    let start = || {
        let null = fs::File::open("/dev/null").unwrap();
        host.admin().start(&Start {
            path: path.to_str().unwrap(),
            args: &[],
            dir: "/",
            environment: &[],
            socket: false,
            limits: Limits::default(),
            stdio: Some([null.as_fd(), null.as_fd(), null.as_fd()]),
        })
    };
    std::thread::scope(|scope| {
        // Ends with this, whatever happens: then all go on.
        let mut held = held;
        let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
        // As many are being measured as may be at once, and nothing comes of it.
        let waiting: Vec<i32> = (0..2).map(|_| held.next().unwrap()).collect();
        for seq in 1..=20 {
            let (header, answer) = running.call(&name_call(seq));
            assert_eq!(header.error, None);
            assert!(answer.data.is_some());
        }
        assert_eq!(host.admin().list().unwrap().len(), 1);
        waiting.into_iter().for_each(|file| held.allow(file));
        // The rest of the file, and of the starts.
        let over = || starts.iter().all(|start| start.is_finished());
        while !over() {
            let mut ready = [PollFd::new(held.events.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::from(50_u8)).unwrap() > 0 {
                let file = held.next().unwrap();
                held.allow(file);
            }
        }
        for start in starts {
            start.join().unwrap().unwrap();
        }
    });
}

#[test]
fn requests_behind_a_start_are_answered_after_it() {
    let host = TestHost::start(171);
    let mut admin = host.admin();
    let null = fs::File::open("/dev/null").unwrap();
    for _ in 0..3 {
        let program = admin
            .start(&Start {
                path: "/bin/sleep",
                args: &["60".to_owned()],
                dir: "/",
                environment: &[],
                socket: false,
                limits: Limits::default(),
                stdio: Some([null.as_fd(), null.as_fd(), null.as_fd()]),
            })
            .unwrap();
        assert!(admin.list().unwrap().contains(&program));
    }
}

#[test]
fn a_file_of_holes_that_is_larger_than_the_policy_allows_is_refused_unread() {
    let mut setup = Setup::new(172);
    setup.programs.largest = 1 << 20;
    let host = setup.start();
    let path = host.path("sparse");
    executable(&path, &fs::read("/bin/true").unwrap());
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    assert!(host.run(&["run", path.to_str().unwrap()]).status.success());
    // Nobody could read this in a lifetime.
    file.set_len(1 << 42).unwrap();
    let refused = host.run(&["run", path.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(125));
    let said = text(&refused.stderr);
    assert!(said.contains("more than 1048576 bytes"), "{said}");
}

#[test]
fn a_guard_that_allows_nothing_is_asked_before_any_file_is_looked_at() {
    let mut setup = Setup::new(173);
    setup.guard = GuardSource::Conservative;
    let host = setup.start();
    let said = text(&host.run(&["run", "/absent"]).stderr);
    assert!(said.contains("denied authorization to execute"), "{said}");
    assert!(said.contains("Deny All"), "{said}");
}
