//! Volumes whose header somebody changed, under an approved launch.

use std::path::Path;
use std::process::Command;

use crate::common::{assert_latched, assert_refused, assert_stopped, assert_stopped_open, small};
use agent::boot::{phase::Phase, report::Outcome};
use agent::config::OnFailure;
use agent::unlock::{CheckedHeader, find_enrolled, test_passphrase};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::machine::Ending;
use harness::world::{PASSPHRASE, Plan, Userland, World};
use serde_json::Value;
use tao::attestation::Opened;

/// The real cryptsetup on the volume.
fn cryptsetup(volume: &Path, arguments: &[&str], input: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("input");
    std::fs::write(&file, input).unwrap();
    let output = Command::new("/usr/sbin/cryptsetup")
        .args(["-q"])
        .args(arguments)
        .arg(volume)
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exchanges the record for what `change` makes of it.
fn change_record(world: &World, change: impl FnOnce(&mut Value)) {
    let token = cryptsetup(&world.root, &["token", "export", "--token-id", "0"], "");
    let mut token: Value = serde_json::from_str(&token).unwrap();
    change(&mut token);
    cryptsetup(&world.root, &["token", "remove", "--token-id", "0"], "");
    let import = ["token", "import", "--token-id", "0"];
    cryptsetup(&world.root, &import, &token.to_string());
}

/// One boot with the approved launch, which must end in a refusal.
fn refused(world: &World, phase: Phase, words: &[&str]) {
    let outcome = world.direct(Some(world.launch.clone()), "").run().unwrap();
    let report = assert_refused(&outcome, phase, words);
    assert_latched(&outcome, &report);
}

#[test]
fn a_sealed_blob_with_one_bit_flipped_gives_no_key() {
    let world = small("blob-flipped");
    change_record(&world, |token| {
        let mut blob = BASE64.decode(token["private"].as_str().unwrap()).unwrap();
        let middle = blob.len() / 2;
        blob[middle] ^= 1;
        token["private"] = BASE64.encode(blob).into();
    });
    let words = ["the TPM did not release the disk key"];
    refused(&world, Phase::Unseal, &words);
}

#[test]
fn a_record_of_another_register_s_value_gives_no_key() {
    let world = small("record-changed");
    change_record(&world, |token| {
        token["pcrs"]["18"] = "11".repeat(32).into();
    });
    refused(
        &world,
        Phase::Unseal,
        &["PCR 18", "expected 11111111..1111"],
    );
}

#[test]
fn a_record_that_is_garbage_is_named_and_gives_no_key() {
    let world = small("record-garbage");
    change_record(&world, |token| token["public"] = Value::from(17));
    let outcome = world.direct(Some(world.launch.clone()), "").run().unwrap();
    let report = assert_refused(&outcome, Phase::Unseal, &["no usable taoboot record"]);
    let warning = &report.warnings[0];
    assert!(warning.contains("the record is damaged"), "{warning}");
}

#[test]
fn a_volume_without_a_record_says_so() {
    let plan = Plan {
        unenrolled: true,
        ..Plan::new(Userland::Small)
    };
    let world = World::make("unenrolled", &plan).unwrap();
    refused(
        &world,
        Phase::Unseal,
        &["no usable taoboot record", "taoboot enroll"],
    );
}

#[test]
fn a_removed_keyslot_is_named_and_nothing_is_opened() {
    let world = small("keyslot-removed");
    let slot = world.enrolled["keyslot"].to_string();
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, PASSPHRASE).unwrap();
    let key = format!("--key-file={}", key.display());
    // luksKillSlot takes the slot after the device.
    let killed = Command::new("/usr/sbin/cryptsetup")
        .args(["-q", "luksKillSlot", &key])
        .arg(&world.root)
        .arg(&slot)
        .output()
        .unwrap();
    assert!(killed.status.success(), "{killed:?}");
    let outcome = world.direct(Some(world.launch.clone()), "").run().unwrap();
    let report = assert_stopped(&outcome, Phase::Unseal, &[]);
    let said = format!("{:?} {:?}", report.reason, report.warnings);
    assert!(said.contains("keyslot"), "{said}");
    assert_eq!(outcome.ending, Ending::Reset);
}

#[test]
fn a_luks1_volume_is_told_how_to_become_luks2() {
    let world = small("luks1");
    let size = std::fs::metadata(&world.root).unwrap().len();
    std::fs::File::create(&world.root)
        .unwrap()
        .set_len(size)
        .unwrap();
    let uuid = format!("--uuid={}", harness::world::VOLUME_UUID);
    let format = [
        "luksFormat",
        "--type=luks1",
        "--pbkdf-force-iterations=1000",
        &uuid,
        "--key-file=-",
    ];
    cryptsetup(&world.root, &format, PASSPHRASE);
    let outcome = world.direct(Some(world.launch.clone()), "").run().unwrap();
    assert_refused(&outcome, Phase::Records, &["LUKS1", "cryptsetup convert"]);
}

/// Sealing to known PCR values needs no secret: whoever can run software on this TPM once can
/// enrol a volume of his own for the approved launch. The measured configuration says which
/// secret is meant.
#[test]
fn a_volume_forged_for_the_approved_launch_is_refused_where_the_secret_is_pinned() {
    let mut world = small("forged-volume");
    let pristine = harness::world::small_volume().unwrap();
    let id = world.enrolled["secret_id"].as_str().unwrap().to_owned();
    // As on a machine: enrolment leaves the pins where the next image takes them, which is another launch.
    let config = world.directory.join("taoboot.toml");
    let pins = ["--pins", "--config", config.to_str().unwrap()];
    world
        .enroll_files(&[&pins[..], &["--new-host-secret"]].concat())
        .unwrap();
    assert!(world.enrolled["pins"].is_string(), "{}", world.enrolled);
    world.rebuild_image("").unwrap();
    world.enroll_files(&["--new-host-secret"]).unwrap();
    assert_eq!(world.enrolled["secret_id"], id, "the same secret again");
    // The attacker's volume: another content would do as well, the UUID is the same.
    let owners = world.directory.join("owners.img");
    std::fs::rename(&world.root, &owners).unwrap();
    std::fs::copy(&pristine, &world.root).unwrap();
    world.enroll_files(&["--new-secret"]).unwrap();
    assert_ne!(world.enrolled["secret_id"], id);
    let machine = world.direct(Some(world.launch.clone()), "");
    let mut outcome = machine.run().unwrap();
    let report = assert_stopped(&outcome, Phase::Unseal, &["another boot secret", &id]);
    assert_latched(&outcome, &report);
    outcome.directory = std::path::PathBuf::new();
    // The control: the owner's volume opens with the same image.
    std::fs::rename(&owners, &world.root).unwrap();
    let machine = world.direct(Some(world.launch.clone()), "");
    let outcome = machine.run().unwrap();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.unlocked_by, Some(Opened::Tpm), "{report:#?}");
}

/// Root has the volume's key, so the volume's secret, and seals it with a host secret of his own:
/// nothing else is needed to seal to known PCR values.
#[test]
fn a_record_with_another_host_secret_is_refused_where_the_host_s_key_is_pinned() {
    let mut world = small("foreign-host");
    let boot = |world: &World| {
        let machine = world.direct(Some(world.launch.clone()), "");
        machine.run().unwrap()
    };
    let outcome = boot(&world);
    let report = outcome.boot_report().unwrap();
    let event = report.boot_event.unwrap();
    let key = event.split_once("host-key=").unwrap().1;
    let key = key.split(' ').next().unwrap().to_owned();
    assert_eq!(key.len(), 64, "{event}");
    // The owner's image with the pin, for which root makes the record.
    let pin = format!("host_key = \"{key}\"");
    world.rebuild_image(&pin).unwrap();
    world.enroll_files(&["--new-host-secret"]).unwrap();
    let outcome = boot(&world);
    // The volume was opened by then; nothing was mounted, and it is closed again.
    let report = assert_stopped_open(&outcome, Phase::Evidence, &["would have the key", &key]);
    assert_eq!(report.unlocked_by, Some(Opened::Tpm), "{report:#?}");
    assert_latched(&outcome, &report);
    assert_eq!(report.boot_event, None, "{report:#?}");
}

/// Whoever puts a disk of his own in knows a passphrase of it, and the prompt does not ask who he
/// is: the volume itself must prove that it is the enrolled one.
#[test]
fn a_foreign_volume_is_not_opened_by_its_passphrase_where_the_secret_is_pinned() {
    let mut world = small("foreign-volume");
    let pristine = harness::world::small_volume().unwrap();
    let id = world.enrolled["secret_id"].as_str().unwrap().to_owned();
    world
        .rebuild_image(&format!("secret_id = \"{id}\""))
        .unwrap();
    let typed = |world: &World| {
        let words = "taoboot.on_failure=prompt taoboot.failure_delay=1";
        let mut running = world.direct(None, words).start().unwrap();
        let patience = std::time::Duration::from_secs(120);
        running.console.wait_for("(1 of 3): ", patience).unwrap();
        running.console.type_line(PASSPHRASE).unwrap();
        running.wait().unwrap()
    };
    let owners = world.directory.join("owners.img");
    std::fs::rename(&world.root, &owners).unwrap();
    std::fs::copy(&pristine, &world.root).unwrap();
    let mut outcome = typed(&world);
    assert_eq!(outcome.ending, Ending::Reset);
    // The first report is that of the question.
    let asked = outcome.boot_reports().unwrap().remove(0);
    assert_eq!(asked.action, Some(OnFailure::Prompt));
    outcome.reports.remove(0);
    let report = assert_stopped(
        &outcome,
        Phase::Open,
        &["nothing proves", &id, "not opened"],
    );
    assert_latched(&outcome, &report);
    assert_eq!(report.boot_event, None, "{report:#?}");
    // The control: the owner's volume opens with the same image and passphrase, and PCR 15 says so.
    std::fs::rename(&owners, &world.root).unwrap();
    let outcome = typed(&world);
    let reports = outcome.boot_reports().unwrap();
    let booted = reports.last().unwrap();
    assert_eq!(booted.outcome, Outcome::Booted, "{booted:#?}");
    let acpi = hex::encode(booted.acpi.as_ref().unwrap().digest());
    let event =
        format!("taoboot boot 2 opened=passphrase volume=secret:{id} host-key=none acpi={acpi}");
    assert_eq!(booted.boot_event, Some(event));
}

#[test]
fn a_root_without_the_real_init_leaves_no_key_in_memory() {
    let world = small("no-init");
    // The volume is opened, then the boot fails: it must be closed again, and its key gone.
    let words = "init=/no/such/init taoboot.failure_delay=30";
    let machine = world
        .direct(Some(world.launch.clone()), words)
        .memory_mib(384);
    let mut running = machine.start().unwrap();
    // Said when the report is out: from now on nothing happens for half a minute.
    let patience = std::time::Duration::from_secs(120);
    running
        .console
        .wait_for("reboot in 30 s", patience)
        .unwrap();
    let memory = world.directory.join("memory");
    running.save_memory(&memory).unwrap();
    let outcome = running.end().unwrap();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.phase, Some(Phase::Root));
    assert!(report.reason.as_deref().unwrap().contains("/no/such/init"));
    // Swap was on by then, and is off again; its key is a random one, so nothing can look for it.
    assert!(report.swap.is_some(), "{report:#?}");
    assert_eq!(report.left_open, Some(Vec::new()), "{report:#?}");
    assert!(report.warnings.is_empty(), "{report:#?}");
    assert_eq!(outcome.secrets_released().unwrap(), 1);
    let memory = std::fs::read(&memory).unwrap();
    // The control: the dump is the machine's memory, and the search finds what is there.
    assert!(finds(&memory, b"init=/no/such/init"));
    for (name, secret) in secrets_of(&world) {
        assert!(!finds(&memory, &secret), "{name} is in memory");
    }
}

/// What must not be left in memory, each with a name.
fn secrets_of(world: &World) -> Vec<(&'static str, Vec<u8>)> {
    let header = CheckedHeader::read(&world.root).unwrap();
    let identity = header.identity();
    let records = find_enrolled(&header);
    let (_, record) = records.into_iter().next().expect("a record");
    let record = record.unwrap();
    let escrow = record.parts().escrow.as_ref().expect("an escrow");
    let secret = escrow.open(&harness::world::VOLUME_KEY, identity).unwrap();
    let passphrase = secret.volume_passphrase(identity);
    // It is the one: it opens the keyslot.
    test_passphrase(&header, &passphrase, None).unwrap();
    vec![
        ("the volume key", harness::world::VOLUME_KEY.to_vec()),
        (
            "half of the volume key",
            harness::world::VOLUME_KEY[..32].to_vec(),
        ),
        ("the volume secret", secret.as_bytes().to_vec()),
        (
            "the first half of the volume secret",
            secret.as_bytes()[..16].to_vec(),
        ),
        ("the passphrase", passphrase.to_vec()),
    ]
}

fn finds(memory: &[u8], wanted: &[u8]) -> bool {
    let first = wanted[0];
    memory
        .windows(wanted.len())
        .any(|window| window[0] == first && window == wanted)
}
