//! Good boots to a real Debian userland.
// A test fails by panicking; clippy knows that of #[test] functions only, not of what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use tests::disk::boot::Firmware;
use tests::disk::orders::{orders_disk, shell};
use tests::machine::{Ending, Outcome};
use tests::orders::{End, Order, Orders};
use tests::world::{Plan, Userland, World};

fn orders() -> Vec<Order> {
    vec![
        shell("tao-report", "tao run /usr/bin/tao-report"),
        shell("host-name", "tao host show --json"),
        // What an intruder in the booted system would try: the very record, with the tools of the trade.
        shell(
            "unseal",
            "taoboot status --volume /dev/disk/by-id/virtio-root --json",
        ),
        shell(
            "swap",
            "swapon --show=NAME,TYPE --noheadings; dmsetup table swap",
        ),
        shell(
            "reexec",
            "systemctl daemon-reexec && sleep 1 && tao host show --json",
        ),
    ]
}

fn boot(name: &str, plan: &Plan) -> Outcome {
    let world = World::make(name, plan).unwrap();
    let orders = Orders {
        commands: orders(),
        end: End::Poweroff,
    };
    let orders = orders_disk(&world.directory.join("orders.img"), &[orders]).unwrap();
    world
        .machine(Some(world.launch.clone()))
        .unwrap()
        .disk(orders)
        .run()
        .unwrap()
}

fn stdout_json(probe: &Value, command: &str) -> Value {
    let result = &probe["commands"][command];
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    serde_json::from_str(result["stdout"].as_str().unwrap())
        .unwrap_or_else(|e| panic!("{command}: {e}: {result:#}"))
}

fn assert_good(outcome: &Outcome) {
    let boot = outcome.report_of("taoboot").unwrap();
    println!("{boot:#}");
    assert_eq!(boot["outcome"], "booted");
    assert_eq!(boot["unlocked_by"], "tpm");
    let probe = outcome.report_of("probe").unwrap();
    println!("{probe:#}");
    assert_eq!(probe["systemd"]["multi_user"], "active");
    assert_eq!(outcome.ending, Ending::PowerOff);
}

#[test]
fn debian_reaches_multi_user_with_the_tao_host_alive_and_answering() {
    let outcome = boot("debian-good", &Plan::new(Userland::Debian));
    assert_good(&outcome);
    let probe = outcome.report_of("probe").unwrap();
    let report = stdout_json(probe, "tao-report");
    println!("{report:#}");
}

#[test]
fn debian_boots_the_same_way_with_uefi_firmware() {
    let plan = Plan {
        firmware: Firmware::Efi,
        ..Plan::new(Userland::Debian)
    };
    assert_good(&boot("debian-uefi", &plan));
}
