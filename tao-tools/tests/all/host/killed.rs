//! A host that is killed (SIGKILL) at each system call of the thread that writes its state.

use tao::{
    anchored::{self, Medium, Refused},
    client::{CallError, Parent, SealPolicy},
};

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

/// What a program keeps as docs/tao-wire.md says, and the counter that anchors it.
struct Kept<'a> {
    program: &'a Parent,
    /// Every copy there ever was, newest last.
    copies: &'a mut Vec<(u64, String)>,
}

impl Medium for Kept<'_> {
    type Contents = String;
    type Error = CallError;

    fn value(&mut self) -> Result<Option<u64>, CallError> {
        let value = self.program.counter("b").unwrap_or_default();
        Ok(Some(u64::try_from(value).unwrap()))
    }

    fn create(&mut self) -> Result<u64, CallError> {
        self.increment()
    }

    fn increment(&mut self) -> Result<u64, CallError> {
        self.program
            .rollback_protected_seal("b", b"", SealPolicy::Own)?;
        Ok(u64::try_from(self.program.counter("b")?).unwrap())
    }

    fn write(&mut self, date: u64, contents: &String) -> Result<(), CallError> {
        self.copies.push((date, contents.clone()));
        Ok(())
    }
}

#[test]
fn what_a_program_keeps_by_the_recipe_is_never_lost_and_never_taken_back() {
    let place = Place::new();
    let mut copies: Vec<(u64, String)> = Vec::new();
    let mut told = String::new();
    for step in 1..MOST_STEPS {
        let mut host = HostProcess::start(&place);
        let program = host.program();
        let newest = copies.last().cloned();
        let contents = newest.clone().map(|(_, text)| text).unwrap_or_default();
        let mut kept = Kept {
            program: &program,
            copies: &mut copies,
        };
        // The newest copy opens whatever happened.
        let settled = anchored::open(&mut kept, newest.map(|(date, _)| date), &contents).unwrap();
        assert!(contents.starts_with(&told), "{told}, then {contents}");
        told = contents;
        let next = format!("{told}{step} ");
        let changed = interrupted(&mut host, step, || {
            match anchored::change(&mut kept, settled, &next) {
                Ok(_) => Ok(()),
                Err(Refused::Medium(error)) => Err(error),
                Err(other) => panic!("{other}"),
            }
        });
        if changed.is_err() {
            continue;
        }
        // Whatever copy is put back: it is the newest, or it does not open.
        drop(host);
        let host = HostProcess::start(&place);
        let program = host.program();
        for (date, text) in copies.clone() {
            let mut kept = Kept {
                program: &program,
                copies: &mut copies,
            };
            let opened = anchored::open(&mut kept, Some(date), &text);
            assert_eq!(opened.is_ok(), text == next, "{date} {text}");
        }
        assert!(step > 10, "the thread that writes was not watched");
        return;
    }
    panic!("the change never came to its end");
}
