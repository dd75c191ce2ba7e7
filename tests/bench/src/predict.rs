//! The prediction of one launch with an initramfs of 30 MiB, against `sha256sum` of the same files,
//! in turns: reading and hashing is what it should cost.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::harness::assets::Assets;
use ::harness::workplace::workspace_root;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tboot_policy::platform::PlatformRecord;

use crate::table::Table;
use crate::timing::{median, time};

const PART: &str = "prediction (against sha256sum of the same files)";
/// Each side is measured this often, in turns.
const RUNS: usize = 15;
const INITRAMFS: usize = 30 << 20;

/// Times both.
pub fn measure(table: &mut Table) -> Result<()> {
    let assets = Assets::load()?;
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let files = prepare(&assets, directory.path())?;
    let program = program()?;
    let ours = || {
        let mut command = Command::new(&program);
        command.args([
            "predict",
            "--all",
            "--json",
            "--platform",
            "record",
            "--root",
            ".",
        ]);
        command.current_dir(directory.path());
        command
    };
    let theirs = || {
        let mut command = Command::new("sha256sum");
        command.args(&files).current_dir(directory.path());
        command
    };
    predicted(&mut ours())?;
    eprintln!("bench: tboot-policy predict ...");
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        our_times.push(time("predict", &mut ours())?.wall.as_secs_f64());
        their_times.push(time("sha256sum", &mut theirs())?.wall.as_secs_f64());
    }
    let (our_time, their_time) = (median(&our_times)?, median(&their_times)?);
    table.figure(PART, "tboot-policy predict", our_time, "s", "median of 15");
    table.figure(PART, "sha256sum", their_time, "s", "");
    table.target(PART, "ours / theirs", our_time / their_time, "", 1.2, "");
    Ok(())
}

/// The optimized program: `$TAOBOOT_TBOOT_POLICY`, which `cargo xtask bench` builds.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("TAOBOOT_TBOOT_POLICY").map_or_else(
        || workspace_root().join("target/release/tboot-policy"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release -p taoboot-policy`",
        path.display()
    );
    Ok(path)
}

/// A boot directory with one entry, and the platform's record; the files that the entry loads.
fn prepare(assets: &Assets, directory: &Path) -> Result<Vec<PathBuf>> {
    let boot = directory.join("boot");
    fs::create_dir_all(boot.join("grub")).context("cannot make the boot directory")?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, boot.join(name)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&assets.tboot, "tboot.gz")?;
    copy(&assets.kernel.vmlinuz, "vmlinuz")?;
    // No gzip at its begin, and nothing that compresses or repeats.
    let mut state = 1u64;
    let mut initramfs = b"\x28\xb5\x2f\xfd".to_vec();
    while initramfs.len() < INITRAMFS {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        initramfs.extend((state >> 32).to_le_bytes());
    }
    let mut file = fs::File::create(boot.join("initramfs")).context("cannot write initramfs")?;
    file.write_all(&initramfs)
        .context("cannot write initramfs")?;
    let config = "menuentry 'one' {\nmultiboot2 /boot/tboot.gz logging=serial,memory\n\
        module2 /boot/vmlinuz root=/dev/sda1 ro\nmodule2 /boot/initramfs\n}\n";
    fs::write(boot.join("grub/grub.cfg"), config).context("cannot write grub.cfg")?;
    let record = serde_json::to_vec(&PlatformRecord::simulated())?;
    fs::write(directory.join("record"), record).context("cannot write the record")?;
    Ok(["tboot.gz", "vmlinuz", "initramfs"]
        .map(|name| PathBuf::from("boot").join(name))
        .into())
}

/// What is measured must be a prediction, not an excuse.
fn predicted(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot start tboot-policy")?;
    let list: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("tboot-policy predict printed no JSON: {said}")
    })?;
    let value = list.pointer("/0/prediction/pcrs/sha256/17");
    ensure!(
        value.is_some_and(Value::is_string),
        "tboot-policy predict has no PCR 17: {list}"
    );
    Ok(())
}
