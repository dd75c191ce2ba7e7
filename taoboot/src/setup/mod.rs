//! `taoboot setup`: from an installed machine to one that unlocks itself, step by step.
//!
//! Nothing is remembered between two runs: which steps are done is looked at on the machine each time. So a run
//! that was killed, a restart between, and what a person did by hand are all the same to it.

mod action;
mod check;
mod doing;
mod files;
mod finding;
mod look;
mod person;
mod plan;
mod report;
mod running_launch;
mod step;
mod tpm;
mod undoing;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail, ensure};
use argh::FromArgs;
use commands::refuse_idle;

use action::Action;
use doing::Given;
use look::Machine;
use person::{Person, one_run_at_a_time};
use plan::{State, plan};
use report::Report;
use step::Step;

/// Make this machine boot by a measured launch and unlock itself, step by step: each step says what it will write
/// and run, asks, and can be undone. Run it again after each restart that it asks for: it looks at the machine
/// and goes on where that is.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "setup",
    note = "The steps: config, images, policy, recovery-key, first-boot, platform, enrolment, pins.",
    example = "What is ready and what is missing:\n  {command_name} --check",
    example = "What would be written and run:\n  {command_name} --dry-run",
    example = "Without questions:\n  {command_name} --yes --passphrase-file FILE --recovery-key-file FILE",
    example = "Take the last step back:\n  {command_name} --undo",
    error_code(0, "all steps are done"),
    error_code(1, "a person is to do something, such as to restart: it is said what"),
    error_code(2, "something failed, or --check: something is missing")
)]
pub struct Setup {
    /// say what is ready and what is missing, with what to do; change nothing
    #[argh(switch)]
    check: bool,
    /// print what would be written and run; change nothing
    #[argh(switch)]
    dry_run: bool,
    /// ask nothing
    #[argh(switch)]
    yes: bool,
    /// take back the step that is named, or the last one that is done
    #[argh(switch)]
    undo: bool,
    /// go on although the processor does not show Intel TXT
    #[argh(switch)]
    without_txt: bool,
    /// file with an existing passphrase of the volume (default: it is asked for); as for enroll, once for each
    /// volume
    #[argh(option, arg_name = "file")]
    passphrase_file: Vec<PathBuf>,
    /// write the recovery key to this new file (default: it is printed once)
    #[argh(option, arg_name = "file")]
    recovery_key_file: Option<PathBuf>,
    /// make no recovery key
    #[argh(switch)]
    no_recovery_key: bool,
    /// file with the password of the TPM's owner, if it has one
    #[argh(option, arg_name = "file")]
    owner_password_file: Option<PathBuf>,
    /// the LUKS2 volumes, root's first (default: those that this machine needs, as for enroll --all)
    #[argh(option, arg_name = "device")]
    volume: Vec<PathBuf>,
    /// what `tboot-policy predict --all --json` printed (default: it is run)
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory", default = "PathBuf::from(\"/\")")]
    root: PathBuf,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// print the result as JSON; what is run meanwhile speaks on standard error
    #[argh(switch)]
    json: bool,
    /// with --undo: the step
    #[argh(positional)]
    step: Option<Step>,
}

impl Setup {
    pub fn run(self) -> Result<ExitCode> {
        self.refuse_contradictions()?;
        if self.check {
            return check::run(&self.root, &self.tcti, self.json);
        }
        let mut report = Report::new(self.json, self.dry_run);
        let machine = self.machine();
        let lacking = machine.lacking(self.without_txt);
        // A volume is looked at when a step is undone, hardware is not.
        if !lacking.is_empty() && !self.undo {
            report.lacking(lacking);
            return report.finish(ExitCode::from(EXIT_PERSON));
        }
        let person = Person::new(self.yes || self.dry_run, self.json)?;
        let _lock = (!self.dry_run)
            .then(|| one_run_at_a_time(&machine))
            .transpose()?;
        if self.undo {
            self.take_back(&machine, &person, report)
        } else if self.dry_run {
            self.rehearse(&machine, report)
        } else {
            self.go_on(&machine, &person, report)
        }
    }

    fn refuse_contradictions(&self) -> Result<()> {
        let verbs = [
            self.check,
            self.dry_run && !self.undo,
            self.yes && !self.undo,
        ];
        ensure!(
            verbs.iter().filter(|given| **given).count() <= 1 && !(self.dry_run && self.yes),
            "give only one of --check, --dry-run and --yes"
        );
        if self.check {
            let file = self.recovery_key_file.is_some();
            refuse_idle(
                &[
                    ("--undo", self.undo),
                    ("--without-txt", self.without_txt),
                    ("--passphrase-file", !self.passphrase_file.is_empty()),
                    ("--recovery-key-file", file),
                    ("--no-recovery-key", self.no_recovery_key),
                    ("--owner-password-file", self.owner_password_file.is_some()),
                    ("--volume", !self.volume.is_empty()),
                    ("--predictions", self.predictions.is_some()),
                ],
                "with --check",
            )?;
        }
        if self.undo {
            refuse_idle(&[("--without-txt", self.without_txt)], "with --undo")?;
        } else {
            refuse_idle(&[("STEP", self.step.is_some())], "without --undo")?;
        }
        ensure!(
            !(self.no_recovery_key && self.recovery_key_file.is_some()),
            "give only one of --recovery-key-file and --no-recovery-key"
        );
        let printed = self.recovery_key_file.is_none() && !self.no_recovery_key;
        let steps = !self.check && !self.undo && !self.dry_run;
        ensure!(
            !(self.json && steps && printed),
            "with --json the recovery key is not printed: say --recovery-key-file FILE or --no-recovery-key"
        );
        Ok(())
    }

    fn machine(&self) -> Machine<'_> {
        Machine {
            root: &self.root,
            tcti: &self.tcti,
            socket: &self.socket,
            volumes: &self.volume,
        }
    }

    fn given(&self) -> Given<'_> {
        Given {
            passphrase_files: &self.passphrase_file,
            recovery_key_file: self.recovery_key_file.as_deref(),
            owner_password_file: self.owner_password_file.as_deref(),
            predictions: self.predictions.as_deref(),
        }
    }

    /// Each step that can be done, one after the other, until a person has to do something.
    fn go_on(
        &self,
        machine: &Machine<'_>,
        person: &Person,
        mut report: Report,
    ) -> Result<ExitCode> {
        let mut last: Option<Step> = None;
        loop {
            let facts = machine.facts()?;
            let planned = plan(&facts, !self.no_recovery_key);
            let next = planned.iter().find(|planned| planned.state != State::Done);
            let Some(next) = next else {
                report.plan(planned);
                return report.finish(ExitCode::SUCCESS);
            };
            if next.state != State::Now {
                report.plan(planned);
                return report.finish(ExitCode::from(EXIT_PERSON));
            }
            let step = next.step;
            if last == Some(step) {
                bail!(
                    "{step} was carried out, and the machine is still without it: {}",
                    next.why
                );
            }
            let actions = doing::actions(step, machine, &facts, &self.given())?;
            report.step(next, &actions);
            if !person.agrees()? {
                report.plan(planned);
                return report.finish(ExitCode::from(EXIT_PERSON));
            }
            self.perform(step, actions)?;
            report.done(step);
            last = Some(step);
        }
    }

    /// The same, printed.
    fn rehearse(&self, machine: &Machine<'_>, mut report: Report) -> Result<ExitCode> {
        let facts = machine.facts()?;
        let planned = plan(&facts, !self.no_recovery_key);
        for next in planned.iter().filter(|next| next.state == State::Now) {
            let actions = doing::actions(next.step, machine, &facts, &self.given())?;
            report.step(next, &actions);
        }
        let ready = planned.iter().all(|planned| planned.state == State::Done);
        report.plan(planned);
        report.finish(if ready {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_PERSON)
        })
    }

    fn take_back(
        &self,
        machine: &Machine<'_>,
        person: &Person,
        mut report: Report,
    ) -> Result<ExitCode> {
        let facts = machine.facts()?;
        let planned = plan(&facts, true);
        let step = undoing::which(&planned, self.step)?;
        let actions = undoing::actions(step, machine, &facts)?;
        report.undo(step, &actions);
        if self.dry_run {
            report.plan(planned);
            return report.finish(ExitCode::SUCCESS);
        }
        if !person.agrees()? {
            report.plan(planned);
            return report.finish(ExitCode::from(EXIT_PERSON));
        }
        self.perform(step, actions)?;
        report.undone(step, undoing::remains(step));
        report.plan(plan(&machine.facts()?, true));
        report.finish(ExitCode::SUCCESS)
    }

    fn perform(&self, step: Step, actions: Vec<Action>) -> Result<()> {
        for action in actions {
            action
                .perform(self.json)
                .map_err(|error| error.context(step.name()))?;
        }
        Ok(())
    }
}

/// A person is to do something.
const EXIT_PERSON: u8 = 1;
