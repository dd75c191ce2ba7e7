//! A host that is killed (SIGKILL) at each system call of the thread that writes its state.

use tao::client::{CallError, Parent, SealPolicy};

use super::{
    host_process::{HostProcess, Place},
    interrupt::{self, MOST_STEPS, Steps},
};

/// Makes a call; the host is killed at the given step of it. The call's result.
fn interrupted<T: Send>(
    host: &mut HostProcess,
    step: u32,
    call: impl FnOnce() -> Result<T, CallError> + Send,
) -> Result<T, CallError> {
    interrupt::interrupted(host.pid(), (Steps::All, step), call, || host.kill())
}

fn seal(program: &Parent, data: &[u8]) -> Result<Vec<u8>, CallError> {
    program.rollback_protected_seal("a", data, SealPolicy::Own)
}

#[test]
fn killed_at_any_system_call_of_a_write_the_host_goes_on_from_before_or_after_it() {
    let place = Place::new();
    let name = HostProcess::start(&place).program().tao_name().unwrap();
    let mut told = 0;
    let started = std::time::Instant::now();
    for step in 1.. {
        assert!(step < MOST_STEPS, "a write of so many system calls?");
        let mut host = HostProcess::start(&place);
        let program = host.program();
        // Nobody else's name, also in the host after a killed one.
        assert_eq!(program.tao_name().unwrap(), name);
        let plain = program.seal(b"plain", SealPolicy::Own).unwrap();
        let good = seal(&program, b"good").unwrap();
        let before = program.counter("a").unwrap();
        assert!(before > told, "step {step}: {told}, then {before}");
        let answer = interrupted(&mut host, step, || seal(&program, b"interrupted"));
        drop(host);

        let host = HostProcess::start(&place);
        let program = host.program();
        let opens = |sealed: &[u8]| program.rollback_protected_unseal(sealed).is_ok();
        let after = program.counter("a").unwrap();
        assert_eq!(program.unseal(&plain).unwrap().0.as_slice(), b"plain");
        match &answer {
            // Who was told can rely on it.
            Ok(sealed) => {
                assert_eq!(after, before + 1, "step {step}");
                assert!(opens(sealed) && !opens(&good), "step {step}");
            }
            Err(_) => {
                assert!(
                    [before, before + 1].contains(&after),
                    "step {step}: {after}"
                );
                assert_eq!(opens(&good), after == before, "step {step}");
            }
        }
        println!("step {step}: {answer:?} after {:?}", started.elapsed());
        told = after;
        if answer.is_ok() {
            println!("{step} steps");
            assert!(step > 5, "the thread that writes was not watched");
            return;
        }
    }
}

/// Seals so that a program that loses its answer loses nothing: docs/tao-wire.md.
#[test]
fn what_is_sealed_before_its_counter_is_raised_is_never_lost() {
    let place = Place::new();
    // What the program has on its disk: each with the counter's value at which it counts.
    let mut stored: Vec<(i64, Vec<u8>)> = Vec::new();
    for step in 1..MOST_STEPS {
        let mut host = HostProcess::start(&place);
        let program = host.program();
        let next = program.counter("b").unwrap_or_default() + 1;
        let text = format!("{next} in step {step}");
        stored.push((
            next,
            program.seal(text.as_bytes(), SealPolicy::Own).unwrap(),
        ));
        let raised = interrupted(&mut host, step, || program.init_counter("b", next));
        drop(host);

        let host = HostProcess::start(&place);
        let program = host.program();
        let value = program.counter("b").unwrap_or_default();
        assert!(value == next || raised.is_err() && value == next - 1);
        // The newest one that counts; before the first was counted there is none.
        if let Some((_, sealed)) = stored.iter().rev().find(|(at, _)| *at == value) {
            let (data, _) = program.unseal(sealed).unwrap();
            assert!(data.starts_with(format!("{value} ").as_bytes()));
        } else {
            assert_eq!(value, 0, "step {step}: nothing counts any more");
        }
        if raised.is_ok() {
            return;
        }
    }
    panic!("the change never came to its end");
}
