//! Boots the machine and turns what it reported into facts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::guest::orders::{End, Order, Orders};
use ::harness::disk::orders::orders_disk;
use ::harness::machine::{Machine, Outcome};
use agent::boot::report::Report;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use tao_tools::report::Report as ProgramReport;
use tpm::PcrIndex;

use super::command_result::CommandResult;
use super::examples;
use super::facts::{Agent, Boot, Hosted, TaoHost, Timed, Userland};
use super::logs::{self, Logs};
use super::progress::Progress;

/// The hosted program, and how it is started.
const HOSTED: [&str; 3] = ["tao", "run", "/usr/bin/tao-report"];
/// The same for a person.
const HOSTED_COMMAND: &str = "tao run /usr/bin/tao-report";

/// Adds the orders for the booted system; `again` when it was there before.
pub fn with_orders(machine: Machine, again: bool) -> Result<Machine> {
    let order = |name: &str, argv: &[&str]| Order {
        name: name.to_owned(),
        argv: argv.iter().map(ToString::to_string).collect(),
        seconds: 60,
    };
    let mut commands = vec![
        order("hosted", &HOSTED),
        order("swap", &["swapon", "--show", "--bytes", "--noheadings"]),
    ];
    commands.extend(examples::orders(again));
    let image = machine.directory().join("orders.img");
    let disk = orders_disk(
        &image,
        &[Orders {
            commands,
            end: End::Poweroff,
        }],
    )?;
    Ok(machine.disk(disk))
}

/// Boots `machine` and waits until it has ended. Its directory stays.
pub fn boot(text: &str, machine: Machine) -> Result<Boot> {
    let logs = Logs::new(machine.directory());
    let watched = logs.clone();
    let progress = Progress::start(text, move || watched.look());
    let ran = machine.run();
    progress.finish();
    logs.look();
    let mut outcome = ran?;
    // The whole of the demo decides what becomes of the directory, not this boot.
    outcome.directory = PathBuf::new();
    facts(&outcome, &logs)
}

fn facts(outcome: &Outcome, logs: &Logs) -> Result<Boot> {
    let mut reports = outcome.boot_reports()?;
    let agent = match (reports.pop(), reports.is_empty()) {
        (Some(report), true) => Some(agent(report)),
        _ => None,
    };
    let probe = outcome.reports_of("probe").first().copied();
    let commands: BTreeMap<String, CommandResult> =
        match probe.and_then(|probe| probe.get("commands")) {
            Some(commands) => {
                Deserialize::deserialize(commands).context("the guest's report of its commands")?
            }
            None => BTreeMap::new(),
        };
    let orders = commands.values().map(|command| command.seconds).sum();
    let agent_seconds = agent.as_ref().map_or(0.0, |agent| agent.seconds);
    Ok(Boot {
        seconds: outcome.elapsed.as_secs_f64(),
        ending: format!("{:?}", outcome.ending),
        through_tboot: logs::through_tboot(&outcome.console),
        stages: logs.reached().stages(agent_seconds, orders),
        agent,
        userland: probe.map(|probe| userland(probe, &commands)).transpose()?,
    })
}

fn agent(report: Report) -> Agent {
    let lower = |(pcr, value): (PcrIndex, String)| (pcr.get(), value.to_ascii_lowercase());
    Agent {
        outcome: Some(report.outcome),
        reason: report.reason,
        action: report.action,
        launch: Some(report.launch),
        pcrs: report.pcrs.into_iter().map(lower).collect(),
        latched: report.latched,
        unlocked_by: report.unlocked_by,
        swap: report.swap,
        warnings: report.warnings,
        phases: report
            .phases
            .into_iter()
            .map(|phase| Timed::new(phase.name.to_string(), phase.ms / 1000.0))
            .collect(),
        seconds: report.total_ms / 1000.0,
    }
}

/// What of the probe's report the demo shows.
#[derive(Deserialize)]
struct Probe {
    systemd: Systemd,
    pcrs: BTreeMap<u8, String>,
    root: Value,
    device_mapper: Vec<String>,
    swap_partitions: BTreeMap<String, Value>,
    tao_hosts: Vec<TaoHostReport>,
}

#[derive(Deserialize)]
struct Systemd {
    state: String,
    failed: Vec<String>,
    multi_user: String,
}

#[derive(Deserialize)]
struct TaoHostReport {
    pid: u64,
    resident_kib: Option<u64>,
}

fn userland(probe: &Value, commands: &BTreeMap<String, CommandResult>) -> Result<Userland> {
    let probe =
        Probe::deserialize(probe).context("the guest's report is not as this demo knows it")?;
    let signature =
        |partition: &Value| partition.get("plain_swap_signature") != Some(&Value::Bool(false));
    let swap = commands
        .get("swap")
        .filter(|command| command.code == Some(0));
    let host = |host: TaoHostReport| TaoHost {
        pid: host.pid,
        resident_kib: host.resident_kib.unwrap_or(0),
    };
    Ok(Userland {
        systemd: probe.systemd.state,
        multi_user: probe.systemd.multi_user,
        failed_units: probe.systemd.failed,
        root: probe
            .root
            .get("source")
            .and_then(Value::as_str)
            .unwrap_or("nothing")
            .to_owned(),
        ciphers: probe
            .device_mapper
            .iter()
            .filter_map(|line| cipher(line))
            .collect(),
        swap: swap
            .map(|swap| swap.stdout.lines().map(str::to_owned).collect())
            .unwrap_or_default(),
        // A partition that could not be read proves nothing.
        swap_readable: probe.swap_partitions.is_empty()
            || probe.swap_partitions.values().any(signature),
        latch_pcr: probe
            .pcrs
            .get(&15)
            .map(|value| value.to_ascii_lowercase())
            .unwrap_or_default(),
        tao_hosts: probe.tao_hosts.into_iter().map(host).collect(),
        hosted: hosted(commands.get("hosted")),
        examples: examples::examples(commands),
    })
}

/// Name and cipher from a line of `dmsetup table`: `root: 0 917504 crypt aes-xts-plain64 ...`.
fn cipher(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [name, _, _, "crypt", cipher, ..] => {
            Some((name.trim_end_matches(':').to_owned(), (*cipher).to_owned()))
        }
        _ => None,
    }
}

fn hosted(result: Option<&CommandResult>) -> Hosted {
    let mut hosted = Hosted {
        command: HOSTED_COMMAND,
        ..Hosted::default()
    };
    let Some(result) = result else {
        hosted.error = Some("it was not started".to_owned());
        return hosted;
    };
    hosted.exit_code = result.code;
    if result.code != Some(0) {
        hosted.error = Some(result.said());
        return hosted;
    }
    match serde_json::from_str::<ProgramReport>(result.stdout.trim()) {
        Ok(report) => {
            hosted.name = Some(report.name);
            hosted.sealed = report.seal.own.ok;
            let verdict = report.attestation.verdict;
            hosted.attested = verdict.verified;
            hosted.error = verdict.reason.map(|why| format!("its attestation: {why}"));
        }
        Err(error) => hosted.error = Some(format!("its report cannot be read: {error}")),
    }
    hosted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosted_program_that_failed_has_no_name_and_says_why() {
        let failed = CommandResult {
            code: Some(125),
            stderr: "tao: no host\n".to_owned(),
            ..CommandResult::default()
        };
        let facts = hosted(Some(&failed));
        assert_eq!(
            (facts.name, facts.error.as_deref()),
            (None, Some("tao: no host"))
        );
        assert!(hosted(None).error.is_some());
        let liar = CommandResult {
            code: Some(0),
            stdout: "hello".to_owned(),
            ..CommandResult::default()
        };
        assert_eq!(hosted(Some(&liar)).name, None);
    }

    #[test]
    fn ciphers_are_read_from_the_tables_of_dm_crypt_only() {
        assert_eq!(
            cipher("root: 0 917504 crypt aes-xts-plain64 :64:logon:x 0 253:32 32768"),
            Some(("root".to_owned(), "aes-xts-plain64".to_owned()))
        );
        assert_eq!(cipher("disk: 0 100 linear 253:0 0"), None);
        assert_eq!(cipher("No devices found"), None);
    }
}
