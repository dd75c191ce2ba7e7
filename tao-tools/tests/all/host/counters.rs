//! Counters and shared secrets.

use std::sync::{Arc, Mutex};

use tao::{
    client::{Parent, SealPolicy},
    logic::{Prin, Says, SubPrin},
};
use tao_host::{Anchor, Root, RootError, SoftRoot};

use super::common::{Raw, Setup, TestHost};

/// A soft root with a counter that no disk holds; and how often it may still count before
/// the power fails.
#[derive(Clone, Default)]
struct Anchored {
    value: Arc<Mutex<Option<u64>>>,
    power: Arc<Mutex<Option<u32>>>,
}

impl Root for Anchored {
    fn host_name(&mut self, key: &Prin, guard: &SubPrin) -> Result<Prin, RootError> {
        SoftRoot.host_name(key, guard)
    }

    fn delegate(&mut self, statement: &Says) -> Result<Option<Vec<u8>>, RootError> {
        SoftRoot.delegate(statement)
    }

    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        Some(self)
    }
}

impl Anchor for Anchored {
    fn describe(&self) -> String {
        "of this test".to_owned()
    }

    fn value(&mut self) -> Result<Option<u64>, RootError> {
        Ok(*self.value.lock().unwrap())
    }

    fn create(&mut self) -> Result<u64, RootError> {
        *self.value.lock().unwrap() = Some(6);
        Ok(6)
    }

    fn increment(&mut self) -> Result<u64, RootError> {
        if let Some(left) = &mut *self.power.lock().unwrap() {
            *left = left.checked_sub(1).ok_or("the power fails")?;
        }
        let mut value = self.value.lock().unwrap();
        let next = value.unwrap() + 1;
        *value = Some(next);
        Ok(next)
    }
}

pub fn parent(raw: Raw) -> Parent {
    Parent::over(raw.stream.try_clone().unwrap(), raw.stream)
}

fn anchored(anchor: &Anchored, dir: &Arc<tempfile::TempDir>) -> TestHost {
    let mut setup = Setup::new(60);
    setup.dir = Arc::clone(dir);
    setup.root = Box::new(anchor.clone());
    setup.start()
}

#[test]
fn only_what_was_sealed_last_opens_also_after_a_restart() {
    let host = TestHost::start(61);
    let dir = host.dir();
    let program = parent(host.raw());
    let seal = |data: &[u8]| {
        program
            .rollback_protected_seal("a", data, SealPolicy::Own)
            .unwrap()
    };
    let (old, new) = (seal(b"old"), seal(b"new"));
    let other = program
        .rollback_protected_seal("b", b"other", SealPolicy::Any)
        .unwrap();
    let error = program
        .rollback_protected_unseal(&old)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "RollbackProtectedUnseal bad counter");
    assert_eq!(program.counter("a"), Ok(2));
    drop(program);
    drop(host);
    let mut setup = Setup::new(61);
    setup.dir = dir;
    let host = setup.start();
    let program = parent(host.raw());
    assert_eq!(
        program
            .rollback_protected_unseal(&new)
            .unwrap()
            .0
            .as_slice(),
        b"new"
    );
    assert_eq!(
        program.rollback_protected_unseal(&other).unwrap().1,
        SealPolicy::Any
    );
    assert!(program.rollback_protected_unseal(&old).is_err());
    // Neither kind of sealed data passes for the other.
    let plain = program.seal(b"plain", SealPolicy::Own).unwrap();
    assert!(program.rollback_protected_unseal(&plain).is_err());
    assert!(program.unseal(&new).is_err());
}

#[test]
fn a_counter_never_goes_down_and_is_one_programs_own() {
    let host = TestHost::start(62);
    let program = parent(host.raw());
    assert_eq!(
        program.counter("x").unwrap_err().to_string(),
        "No such counter"
    );
    for (to, then) in [(5, 5), (3, 5), (9, 9)] {
        program.init_counter("x", to).unwrap();
        assert_eq!(program.counter("x"), Ok(then));
    }
    let other = parent(host.raw());
    assert_eq!(other.counter("x"), Ok(9), "the same program");
    other.extend_tao_name(&".Other()".parse().unwrap()).unwrap();
    assert!(
        other.counter("x").is_err(),
        "another name has its own counters"
    );
}

#[test]
fn a_restored_disk_is_noticed_where_there_is_an_anchor() {
    let (anchor, dir) = (Anchored::default(), Arc::new(tempfile::tempdir().unwrap()));
    let file = dir.path().join("state/counters");
    let host = anchored(&anchor, &dir);
    let program = parent(host.raw());
    let seal =
        |program: &Parent, data: &[u8]| program.rollback_protected_seal("a", data, SealPolicy::Own);
    let old = seal(&program, b"old").unwrap();
    let copy = std::fs::read(&file).unwrap();
    let new = seal(&program, b"new").unwrap();
    drop(program);
    drop(host);
    // As it is: fine.
    let host = anchored(&anchor, &dir);
    assert!(parent(host.raw()).rollback_protected_unseal(&new).is_ok());
    drop(host);
    let newest = std::fs::read(&file).unwrap();
    // An old copy, and none at all.
    for restored in [Some(&copy), None] {
        match restored {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let host = anchored(&anchor, &dir);
        let program = parent(host.raw());
        let error = program
            .rollback_protected_unseal(&old)
            .unwrap_err()
            .to_string();
        let words = ["rolled back", "are missing"][usize::from(restored.is_none())];
        assert!(error.contains(words), "{error}");
        assert!(seal(&program, b"x").is_err());
        assert!(program.tao_name().is_ok());
    }
    std::fs::write(&file, newest).unwrap();
    let host = anchored(&anchor, &dir);
    assert!(parent(host.raw()).rollback_protected_unseal(&new).is_ok());
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_that_was_sealed_and_lets_no_old_copy_in() {
    for steps in 0..4 {
        let (anchor, dir) = (Anchored::default(), Arc::new(tempfile::tempdir().unwrap()));
        let file = dir.path().join("state/counters");
        let host = anchored(&anchor, &dir);
        let program = parent(host.raw());
        let seal = |program: &Parent, data: &[u8]| {
            program.rollback_protected_seal("a", data, SealPolicy::Own)
        };
        let ancient = seal(&program, b"ancient").unwrap();
        let copy = std::fs::read(&file).unwrap();
        let good = seal(&program, b"good").unwrap();
        *anchor.power.lock().unwrap() = Some(steps);
        let interrupted = seal(&program, b"interrupted");
        assert_eq!(interrupted.is_ok(), steps >= 2);
        drop(program);
        drop(host);
        *anchor.power.lock().unwrap() = None;
        let host = anchored(&anchor, &dir);
        let program = parent(host.raw());
        let opens = |sealed: &[u8]| program.rollback_protected_unseal(sealed).is_ok();
        match interrupted {
            // The caller was told: it counts.
            Ok(sealed) => assert!(opens(&sealed) && !opens(&good)),
            // The counter may have been written or not; nobody was told.
            Err(_) => assert!([2, 3].contains(&program.counter("a").unwrap())),
        }
        assert!(!opens(&ancient));
        let after = seal(&program, b"after").unwrap();
        assert!(opens(&after));
        drop(program);
        drop(host);
        std::fs::write(&file, copy).unwrap();
        let host = anchored(&anchor, &dir);
        assert!(
            parent(host.raw())
                .rollback_protected_unseal(&ancient)
                .is_err(),
            "{steps}"
        );
    }
}

/// Killed between the table's write and the second step of the anchor, and then started with the
/// table before: both are of the same date, and only one may ever be good again.
#[test]
fn after_a_kill_only_the_table_that_was_served_is_good() {
    for served_first in [false, true] {
        let (anchor, dir) = (Anchored::default(), Arc::new(tempfile::tempdir().unwrap()));
        let file = dir.path().join("state/counters");
        let host = anchored(&anchor, &dir);
        let program = parent(host.raw());
        program.init_counter("a", 5).unwrap();
        let before = std::fs::read(&file).unwrap();
        *anchor.power.lock().unwrap() = Some(1);
        assert!(program.init_counter("a", 6).is_err());
        *anchor.power.lock().unwrap() = None;
        drop(program);
        drop(host);
        let after = std::fs::read(&file).unwrap();
        let mut told = [(before, 5), (after, 6)];
        if served_first {
            told.reverse();
        }
        let [(first, value), (second, _)] = told;
        std::fs::write(&file, &first).unwrap();
        let host = anchored(&anchor, &dir);
        assert_eq!(parent(host.raw()).counter("a"), Ok(value));
        drop(host);
        let good = std::fs::read(&file).unwrap();
        for (copy, opens) in [(&second, false), (&first, false), (&good, true)] {
            std::fs::write(&file, copy).unwrap();
            let host = anchored(&anchor, &dir);
            assert_eq!(parent(host.raw()).counter("a").is_ok(), opens);
        }
    }
}

/// Whoever may use the TPM can move the anchor: that is noticed before anybody is told anything.
#[test]
fn an_anchor_that_somebody_else_moves_ends_in_a_refusal() {
    let (anchor, dir) = (Anchored::default(), Arc::new(tempfile::tempdir().unwrap()));
    let host = anchored(&anchor, &dir);
    let program = parent(host.raw());
    program.init_counter("a", 5).unwrap();
    let more = |steps| {
        let mut value = anchor.value.lock().unwrap();
        *value = value.map(|value| value + steps);
    };
    more(1);
    let error = program.init_counter("a", 6).unwrap_err().to_string();
    assert!(error.contains("something else has changed it"), "{error}");
    // One step is what a killed host leaves too.
    assert_eq!(program.counter("a"), Ok(5));
    program.init_counter("a", 6).unwrap();
    more(2);
    assert!(program.init_counter("a", 7).is_err());
    let error = program.counter("a").unwrap_err().to_string();
    assert!(error.contains("rolled back"), "{error}");
}

#[test]
fn callers_at_once_share_the_writes() {
    let host = TestHost::start(63);
    let program = parent(host.raw());
    std::thread::scope(|scope| {
        for caller in 0..32 {
            let program = &program;
            scope.spawn(move || {
                let label = format!("label {caller}");
                for round in 1..=4 {
                    let sealed = program
                        .rollback_protected_seal(&label, label.as_bytes(), SealPolicy::Own)
                        .unwrap();
                    assert_eq!(program.counter(&label), Ok(round));
                    let (data, _) = program.rollback_protected_unseal(&sealed).unwrap();
                    assert_eq!(data.as_slice(), label.as_bytes());
                }
            });
        }
    });
}

#[test]
fn a_changed_table_is_refused_and_the_rest_goes_on() {
    let host = TestHost::start(64);
    let dir = host.dir();
    parent(host.raw()).init_counter("a", 1).unwrap();
    drop(host);
    let file = dir.path().join("state/counters");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut setup = Setup::new(64);
    setup.dir = dir;
    let host = setup.start();
    let program = parent(host.raw());
    let error = program.counter("a").unwrap_err().to_string();
    assert!(error.contains("cannot be decrypted"), "{error}");
    assert!(program.seal(b"x", SealPolicy::Own).is_ok());
}

#[test]
fn shared_secrets_differ_by_policy_name_and_host() {
    let host = TestHost::start(65);
    let (one, same, other) = (parent(host.raw()), parent(host.raw()), parent(host.raw()));
    other.extend_tao_name(&".Other()".parse().unwrap()).unwrap();
    let secret = |program: &Parent, policy| program.shared_secret(32, policy).unwrap();
    for policy in [SealPolicy::Own, SealPolicy::Few, SealPolicy::Any] {
        assert_eq!(secret(&one, policy), secret(&same, policy));
        let shared = secret(&one, policy) == secret(&other, policy);
        assert_eq!(shared, policy == SealPolicy::Any);
    }
    assert_ne!(secret(&one, SealPolicy::Own), secret(&one, SealPolicy::Few));
    let elsewhere = TestHost::start(66);
    assert_ne!(
        secret(&one, SealPolicy::Any),
        secret(&parent(elsewhere.raw()), SealPolicy::Any)
    );
    assert!(one.shared_secret(8161, SealPolicy::Any).is_err());
    assert_eq!(
        one.shared_secret(0, SealPolicy::Any)
            .unwrap_err()
            .to_string(),
        "invalid size"
    );
}
