//! Boots: from the exec of /init to the first line of the real init, ours and the peers'.
//!
//! Neither side measures itself. The kernel notes the time at which it starts /init, and the
//! first thing that the real init does is to write to the kernel log, which notes the time
//! too. The machines start without GRUB and tboot, which would be the same for all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::harness::assets::Assets;
use ::harness::disk::Disk;
use ::harness::disk::cache::copy;
use ::harness::disk::small_root::small_root;
use ::harness::machine::{DirectKernel, Ending, Machine, Tpm};
use ::harness::workplace::scenario_directory;
use ::harness::world::{Plan, Userland, VOLUME_UUID, World};
use agent::boot::report::Report;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::files::mebibytes;
use crate::peer::{floor_image, script_image};
use crate::peer_secret;
use crate::table::Table;
use crate::timing::median;

const PART: &str = "boot (exec of /init to the real init, medians)";
const PHASES: &str = "boot, phases of ours (medians)";
const CMDLINE: &str = "console=ttyS0 panic=-1 quiet loglevel=4";

/// What one boot took, in milliseconds of the kernel's clock.
struct Boot {
    /// From the start of /init to the real init.
    init: f64,
    /// From the start of the kernel to the real init.
    kernel: f64,
    /// Our own report; the other contenders write none.
    report: Option<Report>,
}

/// A machine that can be booted again and again.
struct Contender {
    name: &'static str,
    initramfs: PathBuf,
    cmdline: String,
    boots: Vec<Boot>,
}

/// Boots everything `runs` times, in turn.
pub fn measure(table: &mut Table, runs: u32) -> Result<()> {
    let assets = Assets::load()?;
    let world =
        World::make("bench", &Plan::new(Userland::Small)).context("cannot make the machine")?;
    let peer = scenario_directory("bench-peer")?;
    let secret = peer_secret::enroll(&world, &peer)?;
    let floor_root = peer.join("root.img");
    copy(&small_root()?, &floor_root)?;
    let (script, floor) = (peer.join("script.img"), peer.join("floor.img"));
    script_image(&assets, &secret, &script)?;
    floor_image(&assets, &floor)?;
    let taoboot = format!("{CMDLINE} rd.luks.uuid={VOLUME_UUID} root=/dev/mapper/root ro");
    let contender = |name, initramfs: &Path, cmdline: &str| Contender {
        name,
        initramfs: initramfs.to_path_buf(),
        cmdline: cmdline.to_owned(),
        boots: Vec::new(),
    };
    let mut ours = contender("taoboot", &world.files.initramfs, &taoboot);
    let mut scripted = contender("script", &script, CMDLINE);
    let mut bare = contender("floor", &floor, CMDLINE);
    for run in 1..=runs {
        eprintln!("bench: boots, round {run} of {runs} ...");
        ours.boot(&world, &world.root)?;
        scripted.boot(&world, &world.root)?;
        bare.boot(&world, &floor_root)?;
    }
    report(table, &ours, &scripted, &bare)?;
    phases(table, &ours)?;
    std::fs::remove_dir_all(&peer).context("cannot remove the peer's files")?;
    std::fs::remove_dir_all(&world.directory).context("cannot remove the machine's files")
}

impl Contender {
    fn boot(&mut self, world: &World, root: &Path) -> Result<()> {
        let direct = DirectKernel {
            kernel: world.files.kernel.clone(),
            initramfs: self.initramfs.clone(),
            cmdline: self.cmdline.clone(),
        };
        // /init gives its own swap a new key, and refuses what another program has encrypted there.
        let swap = world.directory.join("swap-of-this-boot.img");
        copy(&world.swap, &swap)?;
        let outcome = Machine::in_directory("bench", world.directory.clone())
            .tpm(Tpm::new(&world.tpm, Some(world.launch.clone())))
            .disk(Disk::new(root, "root"))
            .disk(Disk::new(&swap, "swap"))
            .direct_kernel(direct)
            .timeout(Duration::from_secs(300))
            .run()?;
        let small = outcome
            .report_of("small")
            .with_context(|| format!("{} did not boot", self.name))?
            .clone();
        ensure!(
            outcome.ending == Ending::PowerOff,
            "{} ended in {:?}",
            self.name,
            outcome.ending
        );
        // Without swap it would have done less work than the others.
        let swaps = small.get("swaps").and_then(Value::as_u64);
        ensure!(
            self.name == "floor" || swaps == Some(1),
            "{} has no swap:\n{}",
            self.name,
            outcome.console_end()
        );
        outcome.keep();
        let (start, end) = (
            seconds(&small, "init_started")?,
            seconds(&small, "real_init_started")?,
        );
        let report = small
            .get("boot")
            .map(Option::<Report>::deserialize)
            .transpose()
            .context("boot.json is not a report of /init")?
            .flatten();
        self.boots.push(Boot {
            init: (end - start) * 1000.0,
            kernel: end * 1000.0,
            report,
        });
        Ok(())
    }

    fn init(&self) -> Result<f64> {
        median(&self.boots.iter().map(|boot| boot.init).collect::<Vec<_>>())
    }

    fn kernel(&self) -> Result<f64> {
        median(
            &self
                .boots
                .iter()
                .map(|boot| boot.kernel)
                .collect::<Vec<_>>(),
        )
    }
}

fn seconds(report: &Value, member: &str) -> Result<f64> {
    let text = report
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.parse()
        .with_context(|| format!("the kernel log has no time for {member}: {text:?}"))
}

fn report(
    table: &mut Table,
    ours: &Contender,
    script: &Contender,
    floor: &Contender,
) -> Result<()> {
    table.figure(PART, "taoboot", ours.init()?, "ms", "");
    table.figure(
        PART,
        "script: busybox, tpm2-tools, cryptsetup",
        script.init()?,
        "ms",
        "",
    );
    table.figure(
        PART,
        "floor: root not encrypted, static init",
        floor.init()?,
        "ms",
        "",
    );
    table.target(
        PART,
        "taoboot / script",
        ours.init()? / script.init()?,
        "",
        0.5,
        "aim: 0.333",
    );
    table.figure(
        PART,
        "taoboot / floor",
        ours.init()? / floor.init()?,
        "",
        "",
    );
    table.figure(
        PART,
        "image, taoboot",
        mebibytes(&ours.initramfs)?,
        "MiB",
        "",
    );
    table.figure(
        PART,
        "image, script",
        mebibytes(&script.initramfs)?,
        "MiB",
        "",
    );
    let kernel = ours.kernel()? / script.kernel()?;
    table.figure(
        PART,
        "taoboot / script, with the kernel's start",
        kernel,
        "",
        "the kernel unpacks the image too",
    );
    Ok(())
}

/// Each phase's median and its share of their sum.
fn phases(table: &mut Table, ours: &Contender) -> Result<()> {
    let mut order = Vec::new();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for boot in &ours.boots {
        let report = boot.report.as_ref().context("a boot has no report")?;
        for phase in &report.phases {
            let name = phase.name.to_string();
            if !times.contains_key(&name) {
                order.push(name.clone());
            }
            times.entry(name).or_default().push(phase.ms);
        }
    }
    let mut medians = Vec::new();
    for name in order {
        let time = median(times.get(&name).map(Vec::as_slice).unwrap_or_default())?;
        medians.push((name, time));
    }
    let sum: f64 = medians.iter().map(|(_, time)| time).sum();
    for (name, time) in medians {
        table.figure(
            PHASES,
            name,
            time,
            "ms",
            &format!("{:.1} %", 100.0 * time / sum),
        );
    }
    Ok(())
}
