//! A launch that was signed on another machine unlocks the volume; a changed approval does not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{assert_latched, assert_stopped};
use agent::boot::phase::Phase;
use harness::programs;
use harness::swtpm::HostTpm;
use harness::world::{PASSPHRASE, Plan, Userland, World};
use serde_json::{Value, json};
use tao::attestation::Opened;

/// The real command. Only `enroll` sees a TPM.
fn taoboot(words: &[&str]) -> Output {
    let program = programs::path("taoboot").unwrap();
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_launch_that_the_owner_signed_elsewhere_unlocks_and_a_changed_one_does_not() {
    let plan = Plan {
        unenrolled: true,
        ..Plan::new(Userland::Small)
    };
    let world = World::make("signed", &plan).unwrap();
    let file = |name: &str| world.directory.join(name);
    let (private, public) = (file("owner.pem"), file("owner.pub.pem"));
    taoboot(&[
        "policy-key",
        "new",
        "--private",
        path(&private),
        "--public",
        path(&public),
    ]);

    // The machine that boots, once.
    let passphrase = file("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let tpm = HostTpm::start(&world.tpm).unwrap();
    let tcti = tpm.tcti();
    let enrol = [
        "enroll",
        "--volume",
        path(&world.root),
        "--policy-key",
        path(&public),
    ];
    let more = [
        "--passphrase-file",
        path(&passphrase),
        "--no-recovery-key",
        "--tcti",
        &tcti,
    ];
    taoboot(&[&enrol[..], &more].concat());
    tpm.stop().unwrap();

    // The machine that signs: what it has are the prediction and the key.
    let (expect, approval) = (file("prediction.json"), file("approved.json"));
    fs::write(&expect, world.expected_pcrs().to_string()).unwrap();
    let sign = [
        "policy-key",
        "sign",
        "--key",
        path(&private),
        "--expect",
        path(&expect),
    ];
    let more = ["--label", "signed elsewhere", "--output", path(&approval)];
    taoboot(&[&sign[..], &more].concat());

    // Nothing is approved before the approval is stored.
    let launch = world.launch.clone();
    let mut outcome = world.direct(Some(launch.clone()), "").run().unwrap();
    let report = assert_stopped(&outcome, Phase::Unseal, &["no usable taoboot record"]);
    assert_latched(&outcome, &report);
    assert_eq!(outcome.secrets_released().unwrap(), 0);
    outcome.directory = std::path::PathBuf::new();

    let pristine = file("pristine.img");
    fs::copy(&world.root, &pristine).unwrap();
    taoboot(&["approve", path(&approval), "--volume", path(&world.root)]);
    let mut outcome = world.direct(Some(launch), "").run().unwrap();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.unlocked_by, Some(Opened::Tpm), "{report:#?}");
    assert_eq!(outcome.secrets_released().unwrap(), 1);
    outcome.directory = std::path::PathBuf::new();

    // An attacker has another kernel, and writes its value into the approval on the disk.
    let evil = world.launch_with_pcr18_of(b"evil kernel");
    fs::copy(&pristine, &world.root).unwrap();
    let mut forged: Value = serde_json::from_slice(&fs::read(&approval).unwrap()).unwrap();
    forged[0]["pcrs"]["18"] = json!(evil.sha256_hex(18).unwrap().to_ascii_lowercase());
    let token = file("token.json");
    fs::write(&token, forged[0].to_string()).unwrap();
    let import = [
        "token",
        "import",
        "--json-file",
        path(&token),
        path(&world.root),
    ];
    let imported = Command::new("cryptsetup").args(import).status().unwrap();
    assert!(imported.success());
    let outcome = world.direct(Some(evil), "").run().unwrap();
    let report = assert_stopped(
        &outcome,
        Phase::Unseal,
        &["the signature is not one of the policy key"],
    );
    assert_latched(&outcome, &report);
    assert_eq!(outcome.secrets_released().unwrap(), 0);
}
