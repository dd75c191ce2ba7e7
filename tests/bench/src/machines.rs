//! Machines as people have them against the simplest: what logical volumes and further volumes cost, and how
//! large the images are.
//!
//! Both sides are ours, so both are measured by /init's own report: from its exec to that of the real init.

use std::fs;
use std::path::Path;
use std::process::Command;

use ::harness::assets::Assets;
use ::harness::disk::ext4;
use ::harness::disk::luks::{self, LuksVolume};
use ::harness::installer::{self, Layout};
use ::harness::programs;
use ::harness::workplace::scenario_directory;
use ::harness::world::{MoreDisk, PASSPHRASE, Plan, Userland, VOLUME_KEY, World};
use agent::boot::report::Outcome;
use anyhow::{Context, Result, ensure};
use guest::orders::Orders;

use crate::files::mebibytes;
use crate::image::xtask;
use crate::table::Table;
use crate::timing::{median, time};

const PART: &str = "machines (/init's own report, medians)";
/// Volumes beside the first.
const FURTHER: usize = 4;
/// How often the generic image is built.
const BUILDS: usize = 3;

/// Boots them in turn.
pub fn measure(table: &mut Table, runs: u32) -> Result<()> {
    let simple = World::make("bench-simple", &Plan::new(Userland::Debian))?;
    let lvm = World::make("bench-lvm", &installer::plan(Layout::DebianLvm)?)?;
    let one = World::make("bench-one", &Plan::new(Userland::Small))?;
    let disks = scenario_directory("bench-five-disks")?;
    let five = World::make("bench-five", &five_volumes(&disks)?)?;
    let worlds = [(&simple, 0), (&lvm, 0), (&one, 0), (&five, FURTHER)];
    let mut times = worlds.map(|_| Vec::new());
    for run in 1..=runs {
        eprintln!("bench: machines, round {run} of {runs} ...");
        for ((world, further), times) in worlds.iter().zip(&mut times) {
            times.push(boot(world, *further)?);
        }
    }
    let [simple_ms, lvm_ms, one_ms, five_ms] = times.map(|times| median(&times));
    let (simple_ms, lvm_ms, one_ms, five_ms) = (simple_ms?, lvm_ms?, one_ms?, five_ms?);
    table.figure(
        PART,
        "one volume with the root file system",
        simple_ms,
        "ms",
        "",
    );
    table.figure(PART, "Debian's encrypted LVM", lvm_ms, "ms", "");
    table.target(PART, "LVM / one volume", lvm_ms / simple_ms, "", 1.3, "");
    table.figure(PART, "one volume, small root", one_ms, "ms", "");
    table.figure(
        PART,
        "five volumes, small root",
        five_ms,
        "ms",
        "one unseal",
    );
    table.target(PART, "five volumes / one", five_ms / one_ms, "", 1.5, "");
    table.target(
        PART,
        "image for the drivers of the LVM machine",
        mebibytes(&lvm.files.initramfs)?,
        "MiB",
        4.5,
        "",
    );
    generic(table)?;
    for (world, _) in worlds {
        fs::remove_dir_all(&world.directory).context("cannot remove a machine's files")?;
    }
    fs::remove_dir_all(&disks).context("cannot remove the further volumes")
}

/// What /init says that the boot took, in milliseconds.
fn boot(world: &World, further: usize) -> Result<f64> {
    let outcome = world.boot(&[Orders::default()])?;
    let report = outcome.boot_report()?;
    ensure!(report.outcome == Outcome::Booted, "not booted: {report:#?}");
    ensure!(
        report.further_volumes.len() == further,
        "{} of {further} further volumes are open",
        report.further_volumes.len()
    );
    ensure!(
        outcome.secrets_released()? == 1,
        "the TPM was asked more than once"
    );
    drop(outcome.keep());
    Ok(report.total_ms)
}

/// A root volume and four others, opened with what is derived from one secret.
fn five_volumes(directory: &Path) -> Result<Plan> {
    let mut plan = Plan::new(Userland::Small);
    let (empty, content) = (directory.join("empty"), directory.join("content"));
    fs::create_dir(&empty).context("cannot make a directory")?;
    let identity = ext4::Identity {
        uuid: "7a0b0030-0030-4030-8030-000000000030",
        label: "data",
    };
    ext4::make(&content, &empty, 1 << 20, identity, &[])?;
    for number in 1..=FURTHER {
        let uuid = format!("7a0b0031-0031-4031-8031-00000000003{number}");
        let image = directory.join(format!("data{number}.img"));
        let volume = LuksVolume {
            uuid: &uuid,
            sector_size: 512,
            volume_key: VOLUME_KEY,
            passphrase: PASSPHRASE.as_bytes(),
        };
        luks::make(&image, &volume, &content)?;
        plan.more_disks.push(MoreDisk {
            image,
            serial: format!("data{number}"),
            enrolled: true,
        });
        plan = plan.cmdline(&format!("rd.luks.name={uuid}=data{number}"));
    }
    Ok(plan)
}

/// The image that boots any machine.
fn generic(table: &mut Table) -> Result<()> {
    let assets = Assets::load()?;
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let (config, output) = (
        directory.path().join("taoboot.toml"),
        directory.path().join("image"),
    );
    fs::write(&config, "").context("cannot write taoboot.toml")?;
    let mut times = Vec::new();
    for _ in 0..BUILDS {
        let mut command = Command::new(xtask());
        command
            .args(["image", "--generic", "--kernel", &assets.kernel.version])
            .arg("--modules-dir")
            .arg(&assets.kernel.modules)
            .arg("--config")
            .arg(&config)
            .arg("--agent")
            .arg(programs::path("init")?)
            .arg("--output")
            .arg(&output);
        times.push(
            time("cargo xtask image --generic", &mut command)?
                .wall
                .as_secs_f64(),
        );
    }
    table.target(
        PART,
        "generic image",
        mebibytes(&output)?,
        "MiB",
        12.0,
        "of the tests' kernel",
    );
    table.target(
        PART,
        "generic image, built in",
        median(&times)?,
        "s",
        3.0,
        "median of 3",
    );
    Ok(())
}
