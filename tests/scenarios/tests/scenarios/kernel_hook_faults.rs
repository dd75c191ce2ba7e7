//! The kernel hook with every one of its steps failing, and killed before and after every one: what
//! is left always boots and unlocks, and the next run finishes the work.
//!
//! A killed script is what a power cut leaves, except for what the disk had not been told to write;
//! that the script syncs is among the steps.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::hook_machine::{HookMachine, Run};

/// What changes something, or decides what is changed.
const STEPS: [&str; 12] = [
    "taoboot-image",
    "grub-mkconfig",
    "taoboot",
    "mv",
    "rm",
    "ln",
    "cp",
    "cmp",
    "chmod",
    "sync",
    "flock",
    "mktemp",
];
const NEW: &str = "6.1.0-11-amd64";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The step does nothing and fails.
    Fail,
    /// Everything is killed before the step.
    KillBefore,
    /// Everything is killed after it.
    KillAfter,
}

/// A program in front of another: counts, and plays the fault at one place.
fn shim(name: &str) -> String {
    format!(
        r#"#!/bin/sh
# Inside a step the steps don't count.
PATH=$TEST_PATH
n=$(($(cat "$TEST_ROOT/count") + 1))
echo "$n" >"$TEST_ROOT/count"
echo "{name} $*" >>"$TEST_ROOT/steps"
if [ "$n" = "$TEST_AT" ]; then
    case $TEST_FAULT in
        Fail) exit 1 ;;
        KillBefore) kill -9 0 ;;
        KillAfter) {name} "$@"; kill -9 0 ;;
    esac
fi
exec {name} "$@"
"#
    )
}

/// Runs with a fault at step `at`; also the steps that were begun.
fn run(m: &HookMachine, arguments: &[&str], at: usize, fault: Fault) -> (Run, Vec<String>) {
    fs::write(m.path("count"), "0").unwrap();
    fs::write(m.path("steps"), "").unwrap();
    let mut command = m.command(arguments);
    let path = command
        .get_envs()
        .find_map(|(name, value)| (name == "PATH").then(|| value.unwrap().to_owned()))
        .unwrap()
        .into_string()
        .unwrap();
    command
        .env("PATH", format!("{}:{path}", m.path("shim").display()))
        .env("TEST_PATH", path)
        .env("TEST_AT", at.to_string())
        .env("TEST_FAULT", format!("{fault:?}"));
    let run = m.finish(command);
    let steps = fs::read_to_string(m.path("steps")).unwrap();
    (run, steps.lines().map(str::to_owned).collect())
}

/// Where each seal is kept.
fn seals(m: &HookMachine) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(m.path("sealed")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Every fault at every step of a run; `change` is what the run is for.
fn every_fault(arguments: &[&str], change: impl Fn(&HookMachine)) {
    let Some(m) = HookMachine::new() else { return };
    fs::create_dir(m.path("shim")).unwrap();
    for name in STEPS {
        m.program(&format!("shim/{name}"), &shim(name));
    }
    change(&m);
    let before = m.boot_files();
    let kept_menu = m.path(crate::hook_machine::STATE).join("grub.cfg");
    let kept_before = fs::read(&kept_menu).unwrap();
    let sealed_before = seals(&m);
    let (whole, steps) = run(&m, arguments, 0, Fault::Fail);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(steps.len() >= 10, "{steps:?}");
    m.assert_every_entry_unlocks("undisturbed");
    let finished = m.boot_files();
    assert_ne!(finished, before);
    for at in 1..=steps.len() {
        // Killed after a step is killed before the next one.
        let last = (at == steps.len()).then_some(Fault::KillAfter);
        for fault in [Fault::Fail, Fault::KillBefore].into_iter().chain(last) {
            m.restore(&before);
            fs::write(&kept_menu, &kept_before).unwrap();
            // What was sealed to by other runs does not count.
            for directory in seals(&m).difference(&sealed_before) {
                fs::remove_dir_all(directory).unwrap();
            }
            let (done, _) = run(&m, arguments, at, fault);
            let what = format!("{fault:?} at {at}, {}: {done:?}", steps[at - 1]);
            m.assert_every_entry_unlocks(&what);
            if fault == Fault::Fail {
                let cleaning = steps[at - 1].starts_with("rm ");
                let now = m.boot_files();
                let mut in_place = false;
                match done.code {
                    _ if cleaning => {}
                    // The step could be done without.
                    Some(0) => assert_eq!(now, finished, "{what}"),
                    // The menu is; the next run does what is left.
                    Some(1)
                        if done.stderr.contains("menu and images are in place")
                            || done.stderr.contains("the menu is in place") =>
                    {
                        in_place = true;
                    }
                    // Sealed to, as was asserted above.
                    Some(1) if done.stderr.contains("new images are in place") => {
                        let menu = m.path("boot/grub/grub.cfg");
                        assert_eq!(now[&menu], before[&menu], "{what}");
                    }
                    Some(1) => {
                        let said = ["menu and images are unchanged", "nothing done"];
                        assert!(said.iter().any(|said| done.stderr.contains(said)), "{what}");
                        assert_eq!(now, before, "{what}");
                    }
                    other => panic!("{other:?} {what}"),
                }
                if !cleaning && !in_place {
                    continue;
                }
            } else {
                assert_eq!(done.code, None, "{what}");
            }
            // The next run makes it whole, with nothing left over.
            let again = m.run(arguments);
            assert_eq!(again.code, Some(0), "{what}: {again:?}");
            assert_eq!(m.boot_files(), finished, "{what}");
            m.assert_every_entry_unlocks(&what);
        }
    }
}

/// Scenarios that add little to the others.
fn only_when_thorough() -> bool {
    std::env::var_os("TAOBOOT_THOROUGH").is_none()
}

#[test]
fn a_new_kernel() {
    every_fault(&["add", NEW], |m| m.install_kernel(NEW));
}

#[test]
fn images_and_menu_both_change() {
    every_fault(&["refresh"], |m| {
        m.machine.write("etc/taoboot/image.toml", "# two\n");
        m.machine
            .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n");
    });
}

#[test]
fn only_the_menu_changes() {
    if only_when_thorough() {
        return;
    }
    every_fault(&["refresh"], |m| {
        m.machine
            .write("etc/default/grub", "GRUB_CMDLINE_LINUX=quiet\n")
    });
}

#[test]
fn only_images_change() {
    if only_when_thorough() {
        return;
    }
    every_fault(&["refresh"], |m| {
        m.machine.write("etc/taoboot/image.toml", "# two\n")
    });
}

#[test]
fn a_kernel_goes() {
    every_fault(&["remove", crate::hook_machine::KERNELS[1]], |_| {});
}
