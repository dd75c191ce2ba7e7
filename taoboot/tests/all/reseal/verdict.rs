//! `taoboot check-next-boot` and `status` say before the reboot what will happen; and what they
//! say is what happens.

use agent::forecast::verdict::{Answer, NextBoot};
use serde_json::{Value, json};
use tpm::{Tpm as _, Tpm2};

use crate::reseal::common::{Machine, said};

pub fn check(machine: &Machine, menu: &Value) -> (Option<i32>, NextBoot) {
    let root = machine.root.to_str().unwrap();
    let output = machine.run("check-next-boot", menu, &["--json", "--root", root]);
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.code(), answer)
}

#[test]
fn the_verdict_for_each_entry_is_what_then_happens() {
    let mut machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", false),
        machine.entry("1", "new", true),
        { "entry": "2: memtest", "title": "memtest", "default": false, "tboot": false, "files": [] },
        { "entry": "3: other", "title": "other", "default": false, "tboot": true, "error": "its kernel is missing", "files": [] },
    ]);
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(1), "the default entry will ask: {answer:#?}");
    let verdicts: Vec<Answer> = answer.entries.iter().map(|entry| entry.verdict).collect();
    assert_eq!(
        verdicts,
        [Answer::Unlock, Answer::Ask, Answer::Ask, Answer::Unknown]
    );
    let why = &answer.entries[1].why;
    assert!(
        why.contains("no record is for this launch") && why.contains("PCR 18"),
        "{why}"
    );
    machine.reboot("new");
    assert!(!machine.opens());
    machine.reboot("old");
    assert!(machine.reseal(&menu, &["--entry", "1"]).status.success());
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(0), "{answer:#?}");
    machine.reboot("new");
    assert!(machine.opens());
}

#[test]
fn a_forged_record_is_no_promise() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let socket = ["--json", "--socket", machine.socket.to_str().unwrap()];
    let asked = |machine: &Machine| machine.run("check-next-boot", &menu, &socket);
    assert_eq!(asked(&machine).status.code(), Some(0));
    // The TPM has no objection to it: only whoever has the secret can tell.
    let token = agent::unlock::TokenId(1);
    let mut forged = machine.volume.token(token);
    forged["label"] = json!("changed");
    machine.volume.replace_token(token, &forged);
    let output = asked(&machine);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("record 1 does not belong to this secret"),
        "{output:?}"
    );
}

#[test]
fn a_record_that_the_images_configuration_does_not_take_is_no_promise() {
    let machine = Machine::enrolled(&[]);
    let menu = json!([machine.entry("0", "old", true)]);
    let secret = machine.secret_id();
    let srk = Tpm2::open(&machine.swtpm.tcti()).unwrap().srk().unwrap();
    let directory = machine.root.join("etc/taoboot");
    std::fs::create_dir_all(&directory).unwrap();
    let volume = format!(
        "[volume]\ndevice = \"UUID={}\"\n",
        machine.volume.header().uuid()
    );
    for (pin, code, words) in [
        (format!("secret_id = \"{secret}\""), 0, ""),
        (format!("srk_name = \"{}\"", srk.name), 0, ""),
        (
            format!("secret_id = \"{}\"", "ab".repeat(16)),
            1,
            "secret_id in the images' configuration pins another",
        ),
        (
            format!("srk_name = \"000b{}\"", "ab".repeat(32)),
            1,
            "srk_name in the images' configuration pins another",
        ),
    ] {
        std::fs::write(directory.join("image.toml"), format!("{pin}\n{volume}")).unwrap();
        let root = machine.root.to_str().unwrap();
        let output = machine.run("check-next-boot", &menu, &["--root", root]);
        assert_eq!(output.status.code(), Some(code), "{pin}: {output:?}");
        assert!(said(&output).contains(words), "{pin}: {output:?}");
        let config = directory.join("image.toml");
        let output = machine.run("status", &menu, &["--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{pin}: {output:?}");
        assert!(said(&output).contains(words), "{pin}: {output:?}");
        let unlocks = said(&output).contains("will unlock");
        assert_eq!(unlocks, code == 0, "{pin}: {output:?}");
    }
}

#[test]
fn a_host_key_that_the_images_configuration_pins_is_in_the_verdict() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "old", true)]);
    let directory = machine.root.join("etc/taoboot");
    std::fs::create_dir_all(&directory).unwrap();
    let (config, root) = (directory.join("image.toml"), machine.root.to_str().unwrap());
    let (socket, nobody) = (machine.socket.to_str().unwrap(), "/nonexistent/reseal.sock");
    let volume = format!(
        "[volume]\ndevice = \"UUID={}\"\n",
        machine.volume.header().uuid()
    );
    let own = hex::encode(crate::reseal::common::HOST_KEY);
    for (pinned, socket, code, verdict, words) in [
        (&own, socket, 0, "will unlock", ""),
        (&"cd".repeat(32), socket, 3, "WILL NOT BOOT", "host_key"),
        (&own, nobody, 2, "cannot be told", "host_key is pinned"),
    ] {
        std::fs::write(&config, format!("host_key = \"{pinned}\"\n{volume}")).unwrap();
        let output = machine.run(
            "check-next-boot",
            &menu,
            &["--root", root, "--socket", socket],
        );
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{pinned}: {text}");
        assert!(text.contains(verdict) && text.contains(words), "{text}");
        let config = config.to_str().unwrap();
        let text = said(&machine.run("status", &menu, &["--config", config, "--socket", socket]));
        assert!(text.contains(verdict) && text.contains(words), "{text}");
    }
}

/// Whatever this machine has, these tables it has not.
#[test]
fn acpi_tables_that_the_images_configuration_pins_are_in_the_verdict() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "old", true)]);
    let directory = machine.root.join("etc/taoboot");
    std::fs::create_dir_all(&directory).unwrap();
    let (config, root) = (directory.join("image.toml"), machine.root.to_str().unwrap());
    let socket = machine.socket.to_str().unwrap();
    let uuid = machine.volume.header().uuid().to_owned();
    for (pin, code, verdict, words) in [
        (String::new(), 0, "will unlock", ""),
        (
            format!("acpi_tables = \"{}\"\n", "cd".repeat(32)),
            1,
            "WILL ASK",
            "acpi_tables",
        ),
    ] {
        let text = format!("{pin}[volume]\ndevice = \"UUID={uuid}\"\n");
        std::fs::write(&config, text).unwrap();
        let output = machine.run(
            "check-next-boot",
            &menu,
            &["--root", root, "--socket", socket],
        );
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(verdict) && text.contains(words), "{text}");
        let config = config.to_str().unwrap();
        let text = said(&machine.run("status", &menu, &["--config", config, "--socket", socket]));
        assert!(text.contains(verdict) && text.contains(words), "{text}");
    }
}

#[test]
fn the_headline_of_status_believes_no_forged_record() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "old", true)]);
    let status = |socket: &str| machine.run("status", &menu, &["--socket", socket]);
    let socket = machine.socket.to_str().unwrap();
    let (opens, unasked) = ("this launch opens the volume", "is genuine is not known");
    let output = status(socket);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = said(&output);
    assert!(text.contains(opens) && !text.contains(unasked), "{text}");
    // The TPM has no objection to what was changed.
    let token = agent::unlock::TokenId(0);
    let mut forged = machine.volume.token(token);
    forged["label"] = json!("changed");
    machine.volume.replace_token(token, &forged);
    let output = status(socket);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("does not open the volume") && text.contains("does not belong to the secret"),
        "{text}"
    );
    let text = said(&status("/nonexistent/reseal.sock"));
    assert!(text.contains(opens) && text.contains(unasked), "{text}");
}

#[test]
fn without_a_default_entry_nothing_is_promised() {
    let machine = Machine::up();
    let (code, _) = check(&machine, &json!([machine.entry("0", "old", false)]));
    assert_eq!(code, Some(2));
}

#[test]
fn an_entry_at_which_tboot_would_halt_is_no_unlock() {
    let machine = Machine::up();
    let mut entry = machine.entry("0", "old", true);
    entry["prediction"]["halts"] = json!(true);
    let (code, answer) = check(&machine, &json!([entry]));
    assert_eq!(code, Some(1), "{answer:#?}");
}

#[test]
fn status_shows_the_same_in_one_screen() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", true),
        machine.entry("1", "new", false)
    ]);
    let text = said(&machine.run("status", &menu, &[]));
    assert!(
        text.contains("* 0: Linux old: will unlock (record 0)"),
        "{text}"
    );
    assert!(text.contains("  1: Linux new: WILL ASK"), "{text}");
    assert!(text.lines().count() < 24, "{text}");
}

#[test]
fn predictions_that_are_none_are_refused_in_a_sentence() {
    let machine = Machine::up();
    for menu in [
        json!({}),
        json!([{}]),
        json!([{ "entry": "x" }]),
        json!([{ "entry": "x", "prediction": {} }]),
        json!([{ "entry": "x", "prediction": { "pcrs": { "sha256": { "99": "00" } } } }]),
    ] {
        let output = machine.run("check-next-boot", &menu, &[]);
        let sentence = crate::enroll_support::refusal(&output);
        assert!(sentence.len() > 20, "{sentence}");
    }
}

#[test]
fn files_that_are_not_the_known_ones_are_named_and_are_a_reason() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", true),
        machine.entry_as_it_lies_there("1", "planted", false)
    ]);
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(0), "{answer:#?}");
    assert!(answer.entries[0].unknown_files.is_empty());
    let unknown = &answer.entries[1].unknown_files[0];
    assert!(
        unknown.contains("/boot/vmlinuz-planted is not known"),
        "{answer:#?}"
    );
    let why = &answer.entries[1].why;
    assert!(why.contains("vmlinuz-planted is not known"), "{why}");
}

/// The reader of /init judges the very command line; systemd's tables are read with it.
#[test]
fn a_boot_that_init_or_systemd_stops_is_told() {
    let machine = Machine::enrolled(&[]);
    let uuid = machine.volume.header().uuid().to_string();
    let with_words = |words: &str| {
        let mut entry = machine.entry("0", "old", true);
        entry["files"][1]["cmdline"] = json!(words);
        json!([entry])
    };
    let good = format!("/vmlinuz root=/dev/mapper/root ro rd.luks.uuid={uuid}");
    let etc = machine.root.join("etc");
    std::fs::create_dir_all(etc.join("taoboot")).unwrap();
    std::fs::write(etc.join("taoboot/image.toml"), "failure_delay = 1\n").unwrap();
    let (code, answer) = check(&machine, &with_words(&good));
    assert_eq!(code, Some(0), "{answer:#?}");
    for (more, words) in [
        (" taoboot.on_failur=prompt", "is not an option of taoboot"),
        (" root=/dev/mapper/sda3_crypt", "rd.luks.name="),
    ] {
        let (code, answer) = check(&machine, &with_words(&format!("{good}{more}")));
        assert_eq!(code, Some(3), "{answer:#?}");
        assert_eq!(answer.entries[0].verdict, Answer::Stop);
        let why = &answer.entries[0].why;
        assert!(why.contains(words), "{why}");
        let boot = answer.entries[0].boot.as_ref().unwrap();
        assert!(why.contains(&boot.stops[0]), "{why}");
    }
    // Another volume first: that is where /init looks for the records.
    let other = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
    let first = good.replace(
        "rd.luks.uuid=",
        &format!("rd.luks.uuid={other} rd.luks.uuid="),
    );
    let (code, answer) = check(&machine, &with_words(&first));
    assert_eq!(code, Some(3), "{answer:#?}");
    let why = &answer.entries[0].why;
    assert!(why.contains("name the enrolled one first"), "{why}");
    // A further volume that is not there keeps nothing from booting.
    let (code, answer) = check(
        &machine,
        &with_words(&format!("{good} rd.luks.uuid={other}")),
    );
    assert_eq!(code, Some(0), "{answer:#?}");
    std::fs::write(etc.join("crypttab"), format!("disk UUID={uuid} none\n")).unwrap();
    let (code, answer) = check(&machine, &with_words(&good));
    assert_eq!(code, Some(1), "{answer:#?}");
    let root = machine.root.to_str().unwrap();
    let output = machine.run("check-next-boot", &with_words(&good), &["--root", root]);
    let text = said(&output);
    assert!(
        text.contains("WILL ASK") && text.contains(&format!("rd.luks.name={uuid}=disk")),
        "{text}"
    );
    // The name that crypttab has, as the sentence says.
    let renamed = format!("root=/dev/mapper/disk ro rd.luks.name={uuid}=disk");
    assert_eq!(check(&machine, &with_words(&renamed)).0, Some(0));
    // What the image is told counts as well; where a table cannot be read, that cannot be told.
    let config = format!("[volume]\ndevice = \"UUID={uuid}\"\nname = \"disk\"\n");
    std::fs::write(etc.join("taoboot/image.toml"), config).unwrap();
    let (code, answer) = check(&machine, &with_words("root=/dev/mapper/disk ro"));
    assert_eq!(code, Some(0), "{answer:#?}");
    std::fs::write(etc.join("taoboot/image.toml"), "on_failur = 1\n").unwrap();
    assert_eq!(check(&machine, &with_words(&renamed)).0, Some(3));
    std::fs::remove_file(etc.join("crypttab")).unwrap();
    std::fs::create_dir(etc.join("crypttab")).unwrap();
    let output = machine.run("check-next-boot", &with_words(&good), &["--root", root]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        said(&output).contains("crypttab cannot be read"),
        "{output:?}"
    );
}
