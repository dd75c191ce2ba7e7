//! Good boots to a real Debian userland, and what an intruder finds in it.

use agent::boot::report::{Launch, Outcome, Report};
use guest::orders::{End, Order, Orders};
use harness::disk::boot::Firmware;
use harness::disk::orders::{orders_disk, shell};
use harness::machine::Ending;
use harness::world::{Plan, Userland, World};
use serde_json::Value;
use tao::attestation::Opened;

/// The resident agent may have so many KiB.
const RESIDENT_LIMIT_KIB: u64 = 12 << 10;

fn orders(commands: Vec<Order>) -> Orders {
    Orders {
        commands,
        end: End::Poweroff,
    }
}

fn result<'a>(probe: &'a Value, command: &str) -> &'a Value {
    &probe["commands"][command]
}

fn stdout<'a>(probe: &'a Value, command: &str) -> &'a str {
    let result = result(probe, command);
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    result["stdout"].as_str().unwrap().trim()
}

fn stdout_json<T: serde::de::DeserializeOwned>(probe: &Value, command: &str) -> T {
    serde_json::from_str(stdout(probe, command)).unwrap_or_else(|e| panic!("{command}: {e}"))
}

/// What every good boot looks like, by the agent's report and by the userland's.
fn assert_good(boot: &Report, probe: &Value) {
    assert_eq!(boot.outcome, Outcome::Booted, "{boot:#?}");
    assert_eq!(boot.launch, Launch::Measured);
    assert_eq!(boot.unlocked_by, Some(Opened::Tpm));
    assert!(boot.latched);
    assert!(boot.warnings.is_empty(), "{boot:#?}");
    assert_eq!(probe["systemd"]["multi_user"], "active", "{probe:#}");
    assert_eq!(
        probe["systemd"]["failed"],
        Value::Array(vec![]),
        "{probe:#}"
    );
    assert_eq!(probe["root"]["source"], "/dev/mapper/root");
    // The latch, as the booted system sees it: nobody can reset PCR 15 but the machine's reset.
    assert_ne!(probe["pcrs"]["15"], "0".repeat(64));
    let swaps = probe["swaps"].as_array().unwrap();
    assert_eq!(swaps.len(), 1, "{probe:#}");
    assert!(swaps[0].as_str().unwrap().starts_with("/dev/mapper/swap"));
    assert_tao_host(probe);
}

/// One Tao host, small, and nothing of the initramfs in use.
fn assert_tao_host(probe: &Value) {
    let hosts = probe["tao_hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 1, "{probe:#}");
    let host = &hosts[0];
    assert!(
        host["resident_kib"].as_u64().unwrap() <= RESIDENT_LIMIT_KIB,
        "{host:#}"
    );
    assert_eq!(host["executable"], "/memfd:taoboot (deleted)");
    for file in host["mapped_files"].as_array().unwrap() {
        assert_eq!(file, "/memfd:taoboot (deleted)");
    }
    for file in host["descriptors"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        let elsewhere = [
            "/dev/",
            "anon_inode:",
            "socket:",
            "pipe:",
            "/run/",
            "/memfd:",
            "/sys/fs/cgroup",
        ];
        assert!(
            elsewhere.iter().any(|start| file.starts_with(start)),
            "{file}"
        );
    }
}

#[test]
fn debian_reaches_multi_user_with_the_tao_host_alive_and_answering() {
    let mut plan = Plan::new(Userland::Debian);
    plan.config = "[tao]\nisolation = \"declare\"\nprocesses = 64\n".to_owned();
    let world = World::make("debian-good", &plan).unwrap();
    let commands = vec![
        shell("report", "tao run /usr/bin/tao-report"),
        shell("host", "tao host show --json"),
        shell("name", "tao run --json /bin/true 2>&1"),
        // The kernel's limits, not the program's good will.
        shell(
            "eater",
            "tao run --memory 32M /bin/sh -c 'head -c 300000000 /dev/zero | tail' >/dev/null 2>&1; echo $?",
        ),
        shell(
            "forks",
            "tao run --processes 8 /bin/sh -c 'i=0; while [ $i -lt 30 ]; do sleep 50 & i=$((i+1)); done; exit 0' \
             >/dev/null 2>&1; echo $?; find /sys/fs/cgroup/tao -mindepth 2 -type d | wc -l; \
             cat /sys/fs/cgroup/tao/*/*/cgroup.procs | wc -l",
        ),
        shell("more", "tao run --processes 65 /bin/true 2>&1; echo $?"),
        shell(
            "fstab",
            "systemctl is-active dev-mapper-swap.swap dev-mapper-swap.device dev-mapper-root.device",
        ),
        // systemd starts itself again, as its package's upgrade does: the host is nobody's unit.
        shell(
            "again",
            "systemctl daemon-reexec && sleep 2 && tao run /usr/bin/tao-report",
        ),
    ];
    let outcome = world.boot(&[orders(commands)]).unwrap();
    let probe = outcome.report_of("probe").unwrap();
    assert_good(&outcome.boot_report().unwrap(), probe);
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.secrets_released().unwrap(), 1);
    assert_eq!(stdout(probe, "fstab"), "active\nactive\nactive");

    let report: tao_tools::report::Report = stdout_json(probe, "report");
    let name = &report.name;
    for pcr in 17..=19 {
        let value = world.launch.sha256_hex(pcr).unwrap().to_ascii_lowercase();
        assert!(name.contains(&value), "PCR {pcr} is not in {name}");
    }
    assert!(name.starts_with("tpm2(["), "{name}");
    assert!(name.contains(").Program(["), "{name}");
    assert!(report.attestation.verdict.verified, "{report:#?}");
    for sealed in [&report.seal.own, &report.seal.few, &report.seal.any] {
        assert!(sealed.ok, "{report:#?}");
    }
    let again: tao_tools::report::Report = stdout_json(probe, "again");
    assert_eq!(again.name, report.name);
    assert_isolation(probe);
}

/// What this kernel can do to keep programs apart is done; what it cannot is in their names.
fn assert_isolation(probe: &Value) {
    let host: Value = stdout_json(probe, "host");
    // Linux 6.1 has Landlock, but its scopes came with 6.12.
    assert_eq!(host["lacking"], serde_json::json!(["scopes"]), "{host:#}");
    let name: Value = stdout_json(probe, "name");
    let name = name["program"].as_str().unwrap();
    assert!(
        name.ends_with(").Lacking(\"scopes\", \"libraries\")"),
        "{name}"
    );
    assert_eq!(stdout(probe, "eater"), "137");
    let forks: Vec<&str> = stdout(probe, "forks").lines().collect();
    assert_ne!(forks[0], "0", "{forks:?}");
    // The next program's.
    assert_eq!(forks[1], "1", "groups are left");
    assert_eq!(forks[2], "0", "processes are left");
    let more = stdout(probe, "more");
    assert!(more.contains("policy allows programs 64"), "{more}");
    assert!(more.ends_with("125"), "{more}");
}

#[test]
fn debian_boots_the_same_way_with_uefi_firmware() {
    let plan = Plan {
        firmware: Firmware::Efi,
        ..Plan::new(Userland::Debian)
    };
    let world = World::make("debian-uefi", &plan).unwrap();
    let report = shell("report", "tao run /usr/bin/tao-report");
    let outcome = world.boot(&[orders(vec![report])]).unwrap();
    let probe = outcome.report_of("probe").unwrap();
    assert_good(&outcome.boot_report().unwrap(), probe);
    let report: tao_tools::report::Report = stdout_json(probe, "report");
    assert!(report.attestation.verdict.verified, "{report:#?}");
    assert_eq!(outcome.ending, Ending::PowerOff);
}

/// What an intruder with root in the booted system tries: the very record, with the tools of
/// the trade. First the same steps on a secret that is not bound to the latch, which must work.
const UNSEAL: &str = r#"
set -e
cd /run
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
policy() {
    tpm2_startauthsession -Q --policy-session -S session
    tpm2_policypcr -Q -S session -l "$1"
}
tpm2_createprimary -Q -C o -g sha256 -G ecc -c srk \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt|noda'
tpm2_startauthsession -Q -S trial
tpm2_policypcr -Q -S trial -l sha256:17,18,19 -L policy
tpm2_flushcontext -Q trial
echo -n control | tpm2_create -Q -C srk -L policy -i - -u control.pub -r control.priv
tpm2_load -Q -C srk -u control.pub -r control.priv -c control
policy sha256:17,18,19
tpm2_unseal -p session:session -c control; echo
tpm2_flushcontext -Q session
cryptsetup token export --token-id 0 /dev/disk/by-id/virtio-root > token
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/" token | base64 -d; }
field public > record.pub
field private > record.priv
tpm2_load -Q -C srk -u record.pub -r record.priv -c record
echo loaded
policy sha256:15,17,18,19
tpm2_unseal -p session:session -c record && echo RELEASED
"#;

#[test]
fn the_booted_system_cannot_unseal_the_record_with_tpm2_tools() {
    let world = World::make("debian-latch", &Plan::new(Userland::Debian)).unwrap();
    let outcome = world
        .boot(&[orders(vec![shell("unseal", UNSEAL)])])
        .unwrap();
    let probe = outcome.report_of("probe").unwrap();
    assert_good(&outcome.boot_report().unwrap(), probe);
    let unseal = result(probe, "unseal");
    assert_eq!(unseal["stdout"], "control\nloaded\n", "{unseal:#}");
    assert_ne!(unseal["code"], 0, "{unseal:#}");
    // TPM_RC_POLICY_FAIL for the first session: the TPM compared, and refused.
    assert!(
        unseal["stderr"].as_str().unwrap().contains("0x99D"),
        "{unseal:#}"
    );
    // The boot's own, and the control.
    assert_eq!(outcome.secrets_released().unwrap(), 2);
}

/// Fills memory with a text that is known until some of it is in swap.
const FILL_SWAP: &str = r#"
mkdir /run/fill && mount -t tmpfs -o size=90% fill /run/fill
yes 'this line is in the memory of the machine and in no other place' | head -c 1M > /run/block
for number in $(seq 240); do cat /run/block; done > /run/fill/text
tail -n +2 /proc/swaps | while read name type size used rest; do echo $used; done
"#;
const LINE: &[u8] = b"this line is in the memory of the machine";

#[test]
fn two_boots_in_a_row_unlock_and_swap_holds_nothing_that_can_be_read() {
    let world = World::make("debian-swap", &Plan::new(Userland::Debian)).unwrap();
    let fill = || {
        let used = Order {
            seconds: 100,
            ..shell("used", FILL_SWAP)
        };
        vec![shell("key", "dmsetup table --showkeys swap"), used]
    };
    let both = [
        Orders {
            commands: fill(),
            end: End::Reboot,
        },
        orders(fill()),
    ];
    let disk = orders_disk(&world.directory.join("orders.img"), &both).unwrap();
    let machine = world.machine(Some(world.launch.clone())).unwrap();
    let outcome = machine.memory_mib(320).disk(disk).boots(2).run().unwrap();
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.resets, 1);
    let (boots, probes) = (outcome.boot_reports().unwrap(), outcome.reports_of("probe"));
    assert_eq!((boots.len(), probes.len()), (2, 2));
    let mut keys = Vec::new();
    for (boot, probe) in boots.iter().zip(&probes) {
        assert_good(boot, probe);
        let used: u64 = stdout(probe, "used").parse().unwrap();
        assert!(
            used > 1024,
            "only {used} KiB of swap were used: the test shows nothing"
        );
        let table: Vec<&str> = stdout(probe, "key").split_whitespace().collect();
        assert_eq!(table[2..4], ["crypt", "aes-xts-plain64"], "{table:?}");
        keys.push(table[4].to_owned());
    }
    // What the first boot swapped out needs a key that is nowhere any more.
    assert_eq!(keys[0].len(), 128);
    assert_ne!(keys[0], keys[1]);
    let swap = std::fs::read(&world.swap).unwrap();
    let zeros = swap.iter().filter(|byte| **byte == 0).count();
    assert!(swap.len() - zeros > 1 << 20, "nothing was written to swap");
    assert!(!swap.windows(LINE.len()).any(|window| window == LINE));
    assert!(!swap.windows(10).any(|window| window == b"SWAPSPACE2"));
}
