//! kill -9 before each single write of `taoboot pin change`: the old PIN or the new one opens every launch, and
//! the same command finishes.

use std::{fs, process::Command};

use agent::unlock::{find_enrolled, find_records};
use serde_json::json;

use super::{
    common::said,
    pin::{OTHER, change, enrolled},
};
use crate::{
    enroll_kill::killed_at,
    enroll_pin::{PIN, with_pin},
    enroll_support::PASSPHRASE,
};

#[test]
fn a_kill_at_any_write_leaves_one_pin_that_opens_every_launch_and_the_next_run_finishes() {
    let mut machine = enrolled();
    machine.swtpm.set_max_tries(1000).unwrap();
    let user = nix::unistd::getuid().as_raw();
    let held = with_pin(&machine.volume, &machine.swtpm, &[PIN]).unwrap();
    // Asked with a passphrase, one agent does for all: it wants no PIN of a run that was killed.
    machine.serve_with(held, user);
    let menu = json!([machine.entry("1", "second", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let pristine = fs::read(&machine.volume.image).unwrap();
    let of_old: Vec<_> = find_enrolled(&machine.volume.header())
        .into_iter()
        .map(|(token, _)| token)
        .collect();
    let passphrase = machine.root.join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let new = machine.root.join("other-pin");
    fs::write(&new, OTHER).unwrap();
    let (mut with_old, mut with_new, mut unfinished) = (0, 0, 0);
    let mut seen = None;
    for point in 0.. {
        fs::write(&machine.volume.image, &pristine).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
        command.args(["pin", "change", "--passphrase-file"]);
        command.arg(&passphrase).arg("--volume");
        command
            .arg(&machine.volume.image)
            .arg("--new-pin-file")
            .arg(&new);
        command.arg("--socket").arg(&machine.socket);
        let finished = killed_at(&mut command, &[&machine.volume.image], point);
        let records = find_records(&machine.volume.header());
        assert!(records.iter().all(|(_, record)| record.is_ok()), "{point}");
        // What opens depends on the tokens alone, and several writes make one change of them.
        let tokens: Vec<_> = records.iter().map(|(token, _)| *token).collect();
        if seen.replace(tokens.clone()) == Some(tokens) && !finished {
            continue;
        }
        let kept = of_old
            .iter()
            .filter(|token| records.iter().any(|(id, _)| id == *token));
        // Both old ones are there until both new ones are.
        let by = if kept.count() == of_old.len() && records.len() < 4 {
            PIN
        } else {
            OTHER
        };
        let last = if by == PIN {
            &mut with_old
        } else {
            &mut with_new
        };
        *last += 1;
        for kernel in ["old", "second"] {
            machine.reboot(kernel);
            let opened = with_pin(&machine.volume, &machine.swtpm, &[by]);
            assert!(opened.is_ok(), "{point}: {kernel}: {by} {}", records.len());
        }
        if finished {
            assert_eq!(records.len(), 2);
            break;
        }
        if records.len() == 2 {
            continue;
        }
        unfinished += 1;
        let by = ["--passphrase-file", passphrase.to_str().unwrap()];
        let output = change(&machine, &by, "yet another horse");
        assert!(output.status.success(), "{point}: {output:?}");
        let text = said(&output);
        assert_eq!(
            text.contains("was interrupted"),
            records.len() > 2,
            "{text}"
        );
        assert_eq!(find_enrolled(&machine.volume.header()).len(), 2);
        for kernel in ["old", "second"] {
            machine.reboot(kernel);
            assert!(with_pin(&machine.volume, &machine.swtpm, &["yet another horse"]).is_ok());
        }
    }
    let states = (with_old, with_new, unfinished);
    assert_eq!(
        states,
        (2, 4, 3),
        "2 old records, 3, 4, 3, 2 new ones, and the run to the end"
    );
}
