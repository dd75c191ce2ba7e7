//! The floor of `cargo xtask bench`: an /init that mounts an unencrypted root and starts the
//! real init, and does nothing that a measured boot needs. Runs in the guest.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};

/// The disk, and how long it may take to appear.
const ROOT: &str = "/dev/vda";
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match boot() {
        Ok(never) => match never {},
        Err(error) => {
            // The kernel panics when its init ends, with this as the last line.
            eprintln!("floor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn boot() -> Result<Infallible> {
    for (kind, to) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
    ] {
        mount(Some(kind), to, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {to}"))?;
    }
    let mut modules: Vec<_> = fs::read_dir("/modules")?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    modules.sort();
    for module in modules {
        let file = File::open(&module)?;
        finit_module(&file, &CString::default(), ModuleInitFlags::empty())
            .with_context(|| module.display().to_string())?;
    }
    let started = Instant::now();
    while !Path::new(ROOT).exists() {
        ensure!(started.elapsed() < PATIENCE, "{ROOT} did not appear");
        std::thread::sleep(Duration::from_millis(1));
    }
    mount(
        Some(ROOT),
        "/root",
        Some("ext4"),
        MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .context("mount root")?;
    for directory in ["/dev", "/proc", "/sys", "/run"] {
        let to = format!("/root{directory}");
        mount(
            Some(directory),
            to.as_str(),
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        )
        .context("move mounts")?;
    }
    chdir("/root")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).context("move root")?;
    chroot(".")?;
    Err(Command::new("/sbin/init").exec()).context("exec /sbin/init")
}
