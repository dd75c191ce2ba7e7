//! Image building: the time of `cargo xtask image` and its image's size, against peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::harness::assets::Assets;
use ::harness::{programs, workplace};
use anyhow::{Context, Result};

use crate::files::mebibytes;
use crate::image_peers::{Peers, dracut, mkinitramfs};
use crate::table::Table;
use crate::timing::{Times, median, time};

const PART: &str = "image (the tests' kernel, what the demo needs)";
/// Ours is quick enough to be measured more often than the peers.
const OUR_RUNS: usize = 5;
/// The measured configuration of an ordinary machine, as far as the builder cares.
const CONFIG: &str = "[volume]\ndevice = \"UUID=7a0b0002-0002-4002-8002-000000000002\"\n";

/// Builds the image with each tool.
pub fn measure(table: &mut Table) -> Result<()> {
    let assets = Assets::load()?;
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let image = directory.path().join("taoboot.img");
    let ours = our_image(&assets, directory.path(), &image)?;
    let size = mebibytes(&image)?;
    let peers = Peers::prepare(&assets, directory.path())?;
    eprintln!("bench: mkinitramfs ...");
    let (initramfs_tools, initramfs_tools_size) = peers.measure(mkinitramfs)?;
    eprintln!("bench: dracut ...");
    let (dracut, dracut_size) = peers.measure(dracut)?;

    table.target(
        PART,
        "cargo xtask image",
        ours.wall.as_secs_f64(),
        "s",
        1.0,
        "median of 5, agent built",
    );
    table.figure(
        PART,
        "mkinitramfs, MODULES=dep",
        initramfs_tools.wall.as_secs_f64(),
        "s",
        peers.note(),
    );
    table.figure(
        PART,
        "dracut --hostonly",
        dracut.wall.as_secs_f64(),
        "s",
        peers.note(),
    );
    let wall = |peer: Times| ours.wall.as_secs_f64() / peer.wall.as_secs_f64();
    let cpu = |peer: Times| ours.cpu.as_secs_f64() / peer.cpu.as_secs_f64();
    table.target(
        PART,
        "ours / mkinitramfs",
        wall(initramfs_tools),
        "",
        0.1,
        "",
    );
    table.target(PART, "ours / dracut", wall(dracut), "", 0.1, "");
    table.figure(
        PART,
        "ours / mkinitramfs, processor time",
        cpu(initramfs_tools),
        "",
        "steadier on a busy machine",
    );
    table.figure(
        PART,
        "ours / dracut, processor time",
        cpu(dracut),
        "",
        "steadier on a busy machine",
    );
    table.target(PART, "size", size, "MiB", 4.0, "");
    table.figure(
        PART,
        "size, mkinitramfs",
        initramfs_tools_size,
        "MiB",
        "without dm-crypt and TPM tools",
    );
    table.figure(
        PART,
        "size, dracut",
        dracut_size,
        "MiB",
        "without what this machine lacks",
    );
    Ok(())
}

/// The verb as people call it, as a process.
fn our_image(assets: &Assets, directory: &Path, image: &Path) -> Result<Times> {
    let config = directory.join("taoboot.toml");
    fs::write(&config, CONFIG).context("cannot write taoboot.toml")?;
    let xtask = xtask();
    let mut all = Vec::new();
    for _ in 0..OUR_RUNS {
        let mut command = Command::new(&xtask);
        command
            .args(["image", "--kernel", &assets.kernel.version, "--modules-dir"])
            .arg(&assets.kernel.modules);
        command.arg("--config").arg(&config).args([
            "--module",
            "virtio_pci",
            "--module",
            "virtio_blk",
        ]);
        command
            .arg("--agent")
            .arg(programs::path("init")?)
            .arg("--output")
            .arg(image);
        all.push(time(&format!("{} image", xtask.display()), &mut command)?);
    }
    let middle = |pick: fn(&Times) -> f64| median(&all.iter().map(pick).collect::<Vec<_>>());
    Ok(Times {
        wall: std::time::Duration::from_secs_f64(middle(|times| times.wall.as_secs_f64())?),
        cpu: std::time::Duration::from_secs_f64(middle(|times| times.cpu.as_secs_f64())?),
    })
}

/// `$TAOBOOT_XTASK`, which `cargo xtask bench` sets to itself, or where cargo puts it.
pub fn xtask() -> PathBuf {
    std::env::var_os("TAOBOOT_XTASK").map_or_else(
        || workplace::workspace_root().join("target/debug/xtask"),
        PathBuf::from,
    )
}
