//! The demo from the first step to the last.

use std::fs;
use std::path::Path;
use std::time::Instant;

use ::harness::assets::Assets;
use ::harness::workplace::{cache_lock, vm_directory};
use ::harness::world::{Plan, Stage, Userland, VOLUME_UUID, World};
use anyhow::{Context, Result};
use serde_json::Value;

use super::facts::{DiskFacts, Enrolment, Facts, Image, Timed};
use super::progress::Progress;
use super::{attack, boot, checks, console_login};

/// The demo's directory below target/vm.
pub const NAME: &str = "demo";
/// Version of the facts.
const VERSION: u32 = 1;
/// How the launch comes about, for readers of the JSON.
const LAUNCH: &str = "simulated: no emulator executes SENTER or a SINIT module; a proxy plays \
    the extends of a TXT launch, computed from the files on the boot disk, into the TPM";

/// What the demo's machine is.
pub fn plan() -> Plan {
    Plan {
        extra: console_login::overlay(),
        ..Plan::new(Userland::Debian)
    }
}

/// Makes the machine, boots it, attacks it, and collects what happened. With `keep` the
/// machine stays; otherwise nothing of it does, but the logs of a demo that failed.
pub fn show(keep: bool) -> Result<Facts> {
    let waiting = Progress::start("another demo is running", String::new);
    let _alone = cache_lock(NAME)?;
    waiting.finish();
    let directory = vm_directory()?.join(NAME);
    let shown = play(keep);
    let passed = shown.as_ref().is_ok_and(|facts| facts.passed);
    if !keep && directory.exists() {
        tidy(&directory, passed)?;
    }
    shown.with_context(|| {
        format!(
            "the demo did not come to its end; its logs are in {}",
            directory.display()
        )
    })
}

fn play(keep: bool) -> Result<Facts> {
    let mut facts = Facts {
        demo: VERSION,
        launch: LAUNCH,
        kept: keep,
        ..Facts::default()
    };
    let started = Instant::now();
    let mut steps = Steps::default();
    let world = World::make_watched(NAME, &plan(), &mut |stage| steps.begin(stage))?;
    steps.end();
    facts.steps = steps.done;
    describe(&mut facts, &world)?;

    let machine = boot::with_orders(world.machine(Some(world.launch.clone()))?, false)?;
    facts.boot = timed(&mut facts.steps, "boot to Debian", || {
        boot::boot("boot of the approved machine", machine)
    })?;
    facts.attack = timed(&mut facts.steps, "attack", || attack::attack(&world))?;
    let machine = boot::with_orders(world.machine(Some(world.launch.clone()))?, true)?;
    facts.again = timed(&mut facts.steps, "boot again", || {
        boot::boot("boot of the approved machine, after the attack", machine)
    })?;
    facts.total_seconds = started.elapsed().as_secs_f64();

    facts.checks = checks::checks(&facts);
    facts.passed = facts.checks.iter().all(|check| check.passed);
    if keep || !facts.passed {
        facts.left_in = Some(world.directory.display().to_string());
    }
    Ok(facts)
}

/// The world's stages as steps of the demo.
#[derive(Default)]
struct Steps {
    done: Vec<Timed>,
    current: Option<(&'static str, Progress)>,
}

impl Steps {
    fn begin(&mut self, stage: Stage) {
        self.end();
        let (name, text) = match stage {
            Stage::Image => ("image", "the initramfs, and a new TPM"),
            Stage::Prediction => ("prediction", "PCR 17-19 of the files on the boot disk"),
            Stage::Disks => (
                "encrypted disk",
                "an encrypted Debian (bootstrapped once, then from the cache), and swap",
            ),
            Stage::Enrolment => ("enrolment", "enrolment of the disk to the predicted PCRs"),
        };
        self.current = Some((name, Progress::start(text, String::new)));
    }

    fn end(&mut self) {
        if let Some((name, progress)) = self.current.take() {
            self.done.push(Timed::new(name, progress.finish()));
        }
    }
}

fn timed<T>(steps: &mut Vec<Timed>, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = work().with_context(|| format!("the step \"{name}\" failed"))?;
    steps.push(Timed::new(name, started.elapsed().as_secs_f64()));
    Ok(result)
}

fn describe(facts: &mut Facts, world: &World) -> Result<()> {
    let image = world
        .image
        .as_ref()
        .context("the image was not described by its builder")?;
    facts.image = Image {
        kernel: Assets::load()?.kernel.version,
        size: image.size,
        unpacked_size: image.unpacked_size,
        compression: image.compression,
        modules: image.modules.clone(),
        sha256: image.sha256.clone(),
    };
    let size = |path: &Path| {
        fs::metadata(path)
            .map(|found| found.len())
            .with_context(|| format!("{}", path.display()))
    };
    facts.disk = DiskFacts {
        uuid: VOLUME_UUID,
        size: size(&world.root)?,
        swap_size: size(&world.swap)?,
    };
    let number = |name: &str| world.enrolled.get(name).and_then(Value::as_u64);
    facts.enrolment = Enrolment {
        record: number("record"),
        keyslot: number("keyslot"),
        predicted: world.predicted.clone(),
    };
    Ok(())
}

/// Removes the machine; of one that failed, everything that is not a log.
fn tidy(directory: &Path, passed: bool) -> Result<()> {
    let removed = if passed {
        fs::remove_dir_all(directory)
    } else {
        remove_all_but_logs(directory)
    };
    removed.with_context(|| {
        format!(
            "cannot remove the demo's machine from {}",
            directory.display()
        )
    })
}

fn remove_all_but_logs(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_log = path
            .extension()
            .is_some_and(|kind| kind == "log" || kind == "jsonl");
        if path.ends_with("attack") {
            remove_all_but_logs(&path)?;
        } else if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if !is_log {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_demo_leaves_its_logs_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("attack")).unwrap();
        fs::create_dir_all(directory.path().join("tpm")).unwrap();
        for file in [
            "console.log",
            "root.img",
            "tpm/state",
            "attack/tpm.log",
            "attack/vmlinuz",
        ] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        tidy(directory.path(), false).unwrap();
        let left = |directory: &Path| fs::read_dir(directory).unwrap().count();
        assert_eq!(left(directory.path()), 2);
        assert_eq!(left(&directory.path().join("attack")), 1);
        tidy(directory.path(), true).unwrap();
        assert!(!directory.path().exists());
    }
}
