//! What each step does.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use tpm::{Tpm as _, Tpm2};

use super::{
    action::{Action, Program},
    look::{HOOK, Machine, PLATFORM, POLICY},
    plan::Facts,
    running_launch::{self, RunningLaunch},
    step::Step,
};
use crate::{
    enroll::first_time::FirstTime,
    next_boot::{menu, predictions::beside_myself},
    pins::{self, image_config},
};

/// What the person gave.
pub struct Given<'g> {
    pub passphrase_files: &'g [PathBuf],
    pub recovery_key_file: Option<&'g Path>,
    pub owner_password_file: Option<&'g Path>,
    pub predictions: Option<&'g Path>,
}

/// What an image needs beside what `explain` finds: without it a machine that does not unlock itself restarts for
/// ever, and it does not do so before it is enrolled.
const CONFIG: &str = "on_failure = \"prompt\"\n";

/// The step's actions, in their order. `facts` are of now; in a dry run an earlier step is still to be done.
pub fn actions(
    step: Step,
    machine: &Machine<'_>,
    facts: &Facts,
    given: &Given<'_>,
) -> Result<Vec<Action>> {
    let at_root = machine.root == Path::new("/");
    Ok(match step {
        Step::Config => vec![Action::Write {
            path: machine.path(image_config::PLACE),
            content: if at_root { explained()? } else { CONFIG.into() },
        }],
        Step::Images => vec![refresh(machine)],
        Step::Policy => policy(machine, given)?,
        Step::RecoveryKey => vec![Action::RecoveryKey {
            volume: first(facts)?.clone(),
            passphrase_files: given.passphrase_files.to_vec(),
            file: given.recovery_key_file.map(Path::to_owned),
        }],
        Step::FirstBoot => bail!("the restart is a person's"),
        Step::Platform => {
            let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"record", &"--output"];
            let platform = machine.path(PLATFORM);
            arguments.push(&platform);
            vec![Action::run(beside_myself("tboot-policy"), &arguments)]
        }
        Step::Enrolment => {
            let first_time = FirstTime {
                volumes: &facts.volumes,
                passphrase_files: given.passphrase_files,
                owner_password_file: given.owner_password_file,
                root: machine.root,
                config: machine.path(image_config::PLACE),
                tcti: machine.tcti,
            };
            let source = running_launch::source(
                (!at_root).then(|| machine.root.to_owned()),
                given.predictions.map(Path::to_owned),
                machine.path(menu::KEPT),
            );
            vec![Action::Enrol {
                launch: RunningLaunch {
                    tcti: machine.tcti.to_owned(),
                    source,
                },
                words: first_time.words(),
                enroll: Box::new(first_time.enroll()),
            }]
        }
        Step::Pins if facts.pinned.is_some() => vec![refresh(machine)],
        Step::Pins => {
            let secret = machine.held_secret();
            vec![
                Action::WritePins {
                    config: machine.path(image_config::PLACE),
                    volume: first(facts)?.clone(),
                    srk: Tpm2::open(machine.tcti)?.srk()?.name,
                    secret: secret.context("the resident agent no longer answers")?,
                },
                refresh(machine),
            ]
        }
    })
}

fn first(facts: &Facts) -> Result<&PathBuf> {
    facts.volumes.first().context("no volume is named")
}

/// The kernel hook, which builds the images, seals to them, and puts them and the menu into place.
pub fn refresh(machine: &Machine<'_>) -> Action {
    hook(machine, &["refresh"])
}

pub fn hook(machine: &Machine<'_>, words: &[&str]) -> Action {
    // Another root is for tests of the steps; the hook knows it by its parts.
    let environment = if machine.root == Path::new("/") {
        Vec::new()
    } else {
        vec![
            ("TAOBOOT_SYSCONFDIR", machine.path("etc")),
            ("TAOBOOT_BOOT", machine.path("boot")),
            ("TAOBOOT_STATE", machine.path("var/lib/taoboot")),
            ("TAOBOOT_MODULES", machine.path("lib/modules")),
        ]
    };
    Action::Run(Program {
        path: machine.path(HOOK),
        arguments: words.iter().map(Into::into).collect(),
        environment,
    })
}

/// The policy's file is there when the TPM has it: a run that was interrupted between is made again.
fn policy(machine: &Machine<'_>, given: &Given<'_>) -> Result<Vec<Action>> {
    let policy = machine.path(POLICY);
    let new = policy.with_extension("pol.new");
    let kept = machine.path(menu::KEPT);
    let entries = machine.entries();
    // In a dry run there may be no menu yet.
    let entry = entries.first().map_or("THE NEWEST ENTRY", String::as_str);
    let make = Action::run(
        beside_myself("tboot-policy"),
        &[
            &"from-grub",
            &"--measure-only",
            &"--config",
            &kept,
            &"--output",
            &new,
            &entry,
        ],
    );
    let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> =
        vec![&"nv", &"apply", &"--tcti", &machine.tcti, &"--vlp", &new];
    if let Some(file) = &given.owner_password_file {
        words.extend([
            &"--owner-password-file" as &dyn AsRef<std::ffi::OsStr>,
            file,
        ]);
    } else if !Tpm2::open(machine.tcti)?.nv_state()?.owner_password {
        words.push(&"--owner-well-known");
    }
    Ok(vec![
        make,
        Action::run(beside_myself("lcp"), &words),
        Action::Rename {
            from: new,
            to: policy,
        },
    ])
}

/// The machine's own configuration: `explain` of one that asks for a passphrase.
fn explained() -> Result<String> {
    let program = beside_myself("taoboot-image");
    let mut child = Command::new(&program)
        .args(["explain", "--config", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(CONFIG.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "what the configuration needs cannot be found out: write /etc/taoboot/image.toml by hand, as /usr/share/doc/taoboot/examples/image.toml shows it ({})",
        printable::line(said.trim())
    );
    let text = String::from_utf8(output.stdout).context("taoboot-image explain")?;
    Ok(text)
}

/// What is pinned for images to come.
pub fn pins_file(machine: &Machine<'_>) -> PathBuf {
    pins::beside(&machine.path(image_config::PLACE))
}
