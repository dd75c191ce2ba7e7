//! What a boot asks of the TPM, and what that costs where the TPM is as slow as real ones.
//!
//! swtpm answers at once. Between it and the machine each answer is held back for as long as a discrete TPM
//! needs; the time is added up for the commands from /init's first to its last look before the real init. The
//! kernel's resource manager adds commands of its own (contexts are saved and loaded), which count.

use std::collections::BTreeMap;
use std::time::Duration;

use ::harness::machine::Tpm;
use ::harness::swtpm::HostTpm;
use ::harness::tpm_log::{self, TPM2_UNSEAL, TpmCommand};
use ::harness::world::{Plan, Userland, World};
use agent::boot::report::Outcome;
use anyhow::{Context, Result, ensure};
use tpm::Tpm2;

use crate::table::Table;

const PART: &str = "TPM of a boot (simulated delays)";

const READ_PUBLIC: u32 = 0x173;
const PCR_READ: u32 = 0x17e;
const FLUSH_CONTEXT: u32 = 0x165;

/// Codes of TPM 2.0 Library, Part 2, 6.5.2, and how many milliseconds discrete TPMs take: a key on an elliptic
/// curve, an unseal and writes as measured on such chips, 10 for all that computes little.
const SLOW: [(u32, &str, u64); 16] = [
    (0x131, "TPM2_CreatePrimary", 250),
    (TPM2_UNSEAL, "TPM2_Unseal", 150),
    (0x134, "TPM2_NV_Increment", 300),
    (0x137, "TPM2_NV_Write", 300),
    (0x14e, "TPM2_NV_Read", 10),
    (0x157, "TPM2_Load", 10),
    (0x161, "TPM2_ContextLoad", 10),
    (0x162, "TPM2_ContextSave", 10),
    (FLUSH_CONTEXT, "TPM2_FlushContext", 10),
    (READ_PUBLIC, "TPM2_ReadPublic", 10),
    (0x176, "TPM2_StartAuthSession", 10),
    (0x17a, "TPM2_GetCapability", 10),
    (0x17b, "TPM2_GetRandom", 10),
    (PCR_READ, "TPM2_PCR_Read", 10),
    (0x17f, "TPM2_PolicyPCR", 10),
    (0x182, "TPM2_PCR_Extend", 10),
];

/// Boots with a storage key that is derived, and with a persistent one.
pub fn measure(table: &mut Table) -> Result<()> {
    let derived = World::make("bench-tpm", &Plan::new(Userland::Small))?;
    let persistent = derived.copied("bench-tpm-persistent")?;
    let tpm = HostTpm::start(&persistent.tpm)?;
    Tpm2::open(&tpm.tcti())?.persist_srk()?;
    tpm.stop()?;
    eprintln!("bench: two boots with a slow TPM ...");
    let of_derived = boot(&derived)?;
    let of_persistent = boot(&persistent)?;
    let counts = counted(&of_persistent);
    ensure!(
        counts.get(&TPM2_UNSEAL) == Some(&1),
        "not one unseal: {counts:?}"
    );
    let total: u32 = counts.values().sum();
    table.figure(
        PART,
        "commands, storage key persistent",
        total.into(),
        "",
        "",
    );
    for (code, name, _) in SLOW {
        if let Some(count) = counts.get(&code) {
            table.figure(PART, format!("  {name}"), (*count).into(), "", "");
        }
    }
    table.figure(
        PART,
        "TPM time, storage key derived",
        seconds(&of_derived),
        "s",
        "",
    );
    table.target(
        PART,
        "TPM time, storage key persistent (taoboot srk --persist)",
        seconds(&of_persistent),
        "s",
        0.6,
        "",
    );
    for world in [&derived, &persistent] {
        std::fs::remove_dir_all(&world.directory).context("cannot remove a machine's files")?;
    }
    Ok(())
}

/// The commands from /init's first, which the kernel sends none of, to those of its last look.
fn boot(world: &World) -> Result<Vec<TpmCommand>> {
    let mut tpm = Tpm::new(&world.tpm, Some(world.launch.clone()));
    let delays = SLOW.iter();
    tpm.delays = delays
        .map(|(code, _, delay)| (*code, Duration::from_millis(*delay)))
        .collect();
    let outcome = world.direct(None, "").tpm(tpm).run()?;
    let report = outcome.boot_report()?;
    ensure!(report.outcome == Outcome::Booted, "not booted: {report:#?}");
    drop(outcome.keep());
    let log = tpm_log::read(&world.directory.join("tpm.log"))?;
    of_init(&log).context("/init asked the TPM nothing")
}

fn of_init(log: &[TpmCommand]) -> Option<Vec<TpmCommand>> {
    let launch = log.iter().rposition(|command| command.locality != 0)?;
    let since = log.get(launch..)?;
    let first = since
        .iter()
        .position(|command| command.code == READ_PUBLIC)?;
    let look = since.iter().rposition(|command| command.code == PCR_READ)?;
    let behind = since.get(look..)?;
    let flushed = behind
        .iter()
        .position(|command| command.code == FLUSH_CONTEXT)?;
    let commands = since.get(first..=look.checked_add(flushed)?)?;
    Some(commands.to_vec())
}

fn counted(commands: &[TpmCommand]) -> BTreeMap<u32, u32> {
    let mut counts = BTreeMap::new();
    for command in commands {
        *counts.entry(command.code).or_insert(0) += 1;
    }
    counts
}

/// What they take, by [`SLOW`].
fn seconds(commands: &[TpmCommand]) -> f64 {
    let counts = counted(commands);
    let delays = SLOW.iter().filter_map(|(code, _, delay)| {
        let count = counts.get(code)?;
        Some(Duration::from_millis(*delay) * *count)
    });
    delays.sum::<Duration>().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_inits_commands_alone() {
        let command = |locality, code| TpmCommand {
            code,
            locality,
            handle: 0,
            result: 0,
        };
        let kernel = command(0, PCR_READ);
        let launch = command(2, 0x182);
        let init =
            [READ_PUBLIC, TPM2_UNSEAL, PCR_READ, 0x162, FLUSH_CONTEXT].map(|code| command(0, code));
        let host = command(0, 0x131);
        let log = [&[kernel, launch, kernel][..], &init, &[host]].concat();
        assert_eq!(of_init(&log).unwrap(), init);
        assert!((seconds(&init) - 0.19).abs() < 1e-9);
    }
}
