//! A power cut between two steps is repaired by running it again.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use lcp::nv::{self, NvError, Plan, Step};
use tpm::family::Family;

use crate::nv::machine::{Machine, PASSWORD, launch_policy, owner, policy};

/// Cuts the power after each step in turn, from an NV in which everything has to be done: the
/// policy's index has the wrong size, the others are missing. Then once more from the begin.
fn every_cut(family: Family) {
    let mut cut = 0;
    loop {
        let mut machine = Machine::new(family);
        // An index for another hash algorithm (or, on a TPM 1.2, simply another one).
        let mut other = machine.wishes(1).remove(0);
        other.definition.size += 16;
        machine.apply(vec![other]);

        let mut storage = machine.open();
        let plan = Plan::make(storage.as_mut(), machine.wishes(2)).unwrap();
        let [policy, launch, error] = plan.indices.as_slice() else {
            panic!("{plan:?}");
        };
        assert_eq!(policy.steps, [Step::Release, Step::Define, Step::Write]);
        assert!(policy.reasons[0].contains("undefined first"), "{policy:?}");
        assert_eq!(launch.steps, [Step::Define, Step::Write]);
        assert_eq!(error.steps, [Step::Define]);

        let mut taken = 0;
        let done = nv::apply(storage.as_mut(), &plan, &owner(), &mut |_| {
            taken += 1;
            if taken > cut {
                return Err(NvError::Refused("the power is cut".to_owned()));
            }
            Ok(())
        });
        drop(storage);
        machine.swtpm.cut_power().unwrap();
        let again = machine.plan(machine.wishes(2));
        assert!(again.is_possible(), "{again:?}");
        assert!(again.steps() <= plan.steps(), "{again:?}");
        machine.apply(machine.wishes(2));
        assert!(machine.plan(machine.wishes(2)).is_done(), "cut {cut}");
        if done.is_ok() {
            // Six steps and three readings.
            assert_eq!(cut, 9);
            return;
        }
        cut += 1;
    }
}

#[test]
fn a_cut_after_any_step_is_repaired_on_tpm_2_0() {
    every_cut(Family::Tpm20);
}

#[test]
fn a_cut_after_any_step_is_repaired_on_tpm_1_2() {
    every_cut(Family::Tpm12);
}

/// The process is killed as soon as it has told of so many steps.
#[test]
fn a_killed_command_is_repaired_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("vlp"), launch_policy()).unwrap();
    std::fs::write(path("password"), format!("{PASSWORD}\n")).unwrap();
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        for lines in 0..4usize {
            let hash_byte = u8::try_from(lines).unwrap() + 1;
            std::fs::write(path("policy"), policy(family, hash_byte, [0; 8])).unwrap();
            let command = || {
                let mut command = Command::new(env!("CARGO_BIN_EXE_lcp"));
                command
                    .args(["nv", "apply", "--tcti", &machine.swtpm.tcti()])
                    .args(["--policy", &path("policy"), "--vlp", &path("vlp")])
                    .args(["--owner-password-file", &path("password")]);
                command
            };
            let mut child = command().stdout(Stdio::piped()).spawn().unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap());
            for _ in 0..lines {
                out.read_line(&mut String::new()).unwrap();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let output = command().output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let file = std::fs::read(path("policy")).unwrap();
            let mut storage = machine.open();
            let number = machine.wishes(1)[0].definition.number;
            let index = storage.index(number).unwrap().unwrap();
            assert_eq!(storage.read(&index, None).unwrap().unwrap(), file);
        }
    }
}
