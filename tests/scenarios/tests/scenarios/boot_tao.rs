//! The Tao host of a booted machine, on the simulated launch: it conforms, and what its programs
//! count cannot be set back by whoever owns the disk.

use agent::boot::report::Report;
use harness::disk::orders::shell;
use harness::world::{CarriedOut, Plan, Userland, World};
use serde_json::Value;

/// Starts the counting service, which has a user of its own, and asks it.
const COUNT: &str = "mkdir -p -m 1777 /var/lib/counter /run/counter && \
     tao run --detach /usr/bin/sealed-counter serve /var/lib/counter/count /run/counter/sock >/dev/null && \
     sealed-counter ask /run/counter/sock";

fn stdout<'a>(boot: &'a CarriedOut, command: &str) -> &'a str {
    let result = &boot.probe["commands"][command];
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    result["stdout"].as_str().unwrap().trim()
}

#[test]
fn a_booted_tao_host_conforms_and_its_counters_outlive_reboots_but_not_a_restored_disk() {
    let world = World::make("tao", &Plan::new(Userland::Debian)).unwrap();
    let mut conformance = shell("conformance", "tao-conformance /run/tao/admin.sock");
    conformance.seconds = 180;
    let first = world
        .carry_out(vec![
            shell("count", COUNT),
            shell("more", "sealed-counter ask /run/counter/sock"),
            shell("host", "tao host show --json"),
            shell("boot", "cat /run/tao/boot.json"),
            shell("report", "tao run /usr/bin/tao-report"),
            conformance,
        ])
        .unwrap();
    assert_eq!(stdout(&first, "count"), "1");
    assert_eq!(stdout(&first, "more"), "2");
    let host: Value = serde_json::from_str(stdout(&first, "host")).unwrap();
    assert!(host["name"].as_str().unwrap().starts_with("tpm2(["));
    assert!(host["anchor"].is_string(), "{host:#}");
    // PCR 15 tells how this boot went, the same in the report, in the host and to a verifier.
    let boot: Report = serde_json::from_str(stdout(&first, "boot")).unwrap();
    assert_eq!(boot.boot_event.as_deref(), host["boot_event"].as_str());
    let event = host["boot_event"].as_str().unwrap();
    let id = world.enrolled["secret_id"].as_str().unwrap();
    let opened = format!("taoboot boot 2 opened=tpm volume=secret:{id} host-key=");
    assert!(event.starts_with(&opened), "{event}");
    let report: tao_tools::report::Report = serde_json::from_str(stdout(&first, "report")).unwrap();
    assert!(report.attestation.verdict.verified, "{report:#?}");
    let lines = first.probe["commands"]["conformance"]["stdout"]
        .as_str()
        .unwrap();
    let starting = |word: &str| lines.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!(starting("FAIL"), 0, "{lines}");
    assert!(starting("ok\t") >= 60, "{lines}");
    assert_eq!(first.probe["commands"]["conformance"]["code"], 0);

    // The disk as it is now, for later.
    let old = world.directory.join("old.img");
    std::fs::copy(&world.root, &old).unwrap();
    let second = world.carry_out(vec![shell("count", COUNT)]).unwrap();
    assert_eq!(stdout(&second, "count"), "3");

    std::fs::copy(&old, &world.root).unwrap();
    let restored = world.carry_out(vec![shell(
            "count",
            "mkdir -p -m 1777 /run/counter; pid=$(tao run --detach /usr/bin/sealed-counter serve /var/lib/counter/count /run/counter/sock | cut -d' ' -f1); \
             tao wait $pid; echo \"status $?\"; tao logs $pid; tao run /usr/bin/tao-report >/dev/null && echo goes on",
        )]).unwrap();
    let said = stdout(&restored, "count");
    assert!(
        said.contains("status 1") && said.contains("rolled back"),
        "{said}"
    );
    // Only what must not be rolled back is refused.
    assert!(said.ends_with("goes on"), "{said}");
    std::fs::remove_dir_all(&world.directory).unwrap();
}
