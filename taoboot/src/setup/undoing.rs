//! What takes a step back. The last one goes first: what a later step was built on stays until then.

use std::path::PathBuf;

use agent::unlock::{CheckedHeader, enrolment::last_record_goes};
use anyhow::{Context as _, Result, bail, ensure};

use super::{
    action::{Action, has_records},
    doing::{hook, pins_file, refresh},
    look::{Machine, PLATFORM, POLICY},
    plan::{Facts, Planned, State},
    step::Step,
};
use crate::pins::{IN_PLACE, image_config, in_use};

/// The step to take back: the one that is named, else the last that is done.
///
/// # Errors
/// None is done, or a later one is.
pub fn which(planned: &[Planned], named: Option<Step>) -> Result<Step> {
    let done = planned
        .iter()
        .filter(|planned| planned.state == State::Done && planned.step != Step::FirstBoot);
    let last = done.map(|planned| planned.step).next_back();
    match (named, last) {
        (Some(Step::FirstBoot), _) => bail!("a boot cannot be undone"),
        (_, None) => bail!("no step is done, so there is nothing to undo"),
        (None, Some(last)) => Ok(last),
        (Some(named), Some(last)) if named > last => bail!("{named} is not done"),
        // It belongs to no other.
        (Some(Step::RecoveryKey), _) => Ok(Step::RecoveryKey),
        (Some(named), Some(last)) => {
            ensure!(
                named == last,
                "{named} is what {last} was built on: undo {last} first"
            );
            Ok(named)
        }
    }
}

/// The actions, in their order. After each the machine boots as before, or asks for a passphrase.
pub fn actions(step: Step, machine: &Machine<'_>, facts: &Facts) -> Result<Vec<Action>> {
    let pins = pins_file(machine);
    Ok(match step {
        Step::Config => {
            let config = machine.path(image_config::PLACE);
            vec![Action::Rename {
                to: config.with_extension("toml.undone"),
                from: config,
            }]
        }
        // The hook makes the menu without the entry before the image goes.
        Step::Images => {
            let versions = machine.image_versions();
            versions
                .iter()
                .map(|version| hook(machine, &["remove", version]))
                .collect()
        }
        Step::Policy => vec![Action::Remove {
            path: machine.path(POLICY),
        }],
        Step::RecoveryKey => vec![Action::WipeRecoveryKeys {
            volume: facts.volumes.first().context("no volume is named")?.clone(),
        }],
        Step::FirstBoot => Vec::new(),
        Step::Platform => vec![Action::Remove {
            path: machine.path(PLATFORM),
        }],
        Step::Enrolment => {
            // Images that pin the secret refuse every passphrase without a record of it.
            ensure!(
                !machine.path(IN_PLACE).exists(),
                "the images in place pin the secret: undo pins first, with the machine unlocked by its TPM"
            );
            let mut actions: Vec<Action> = Vec::new();
            if pins.exists() {
                actions.push(Action::Remove { path: pins });
            }
            let enrolled = facts.volumes.iter().filter(|volume| has_records(volume));
            let volumes: Vec<&PathBuf> = enrolled.collect();
            // As `taoboot wipe` asks: a secret that the administrator pinned by hand counts as well.
            let config = machine.path(image_config::PLACE);
            for volume in &volumes {
                let header = CheckedHeader::read(volume)?;
                in_use::keep(volume, &config, machine.root, |secret| {
                    Ok(last_record_goes(&header, secret, |_, _| true, |_, _| true))
                })?;
            }
            // Root's last: as long as it has records, the step is to be taken back.
            actions.extend(volumes.into_iter().rev().map(|volume| Action::WipeRecords {
                volume: volume.clone(),
            }));
            actions
        }
        Step::Pins => {
            ensure!(
                facts.agent,
                "images without the pins are another launch, which nobody can approve now: boot with the TPM first, and undo pins there"
            );
            vec![Action::Remove { path: pins }, refresh(machine)]
        }
    })
}

/// What stays, for a person to know.
pub fn remains(step: Step) -> Option<&'static str> {
    match step {
        Step::Policy => Some(
            "the policy stays in the TPM, where it does no harm: `lcp nv list` shows its index, and lcp-nv(8) how to remove it",
        ),
        Step::Enrolment => Some(
            "the rollback counter stays in the TPM; copies of the header that somebody made earlier still open, until `taoboot retire`; set on_failure = \"prompt\" in /etc/taoboot/image.toml and run `/usr/lib/taoboot/kernel refresh` if it is another: the next boot is not unlocked by the TPM",
        ),
        Step::Config => Some("the file is kept beside its old place"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(done: &[Step]) -> Vec<Planned> {
        let state = |step: Step| {
            if done.contains(&step) {
                State::Done
            } else {
                State::Now
            }
        };
        let all = Step::ALL.map(|step| Planned {
            step,
            state: state(step),
            why: String::new(),
        });
        all.into()
    }

    #[test]
    fn the_last_step_goes_first_and_a_recovery_key_any_time() {
        let done = planned(&[
            Step::Config,
            Step::Images,
            Step::RecoveryKey,
            Step::FirstBoot,
        ]);
        assert_eq!(which(&done, None).unwrap(), Step::RecoveryKey);
        assert_eq!(
            which(&done, Some(Step::RecoveryKey)).unwrap(),
            Step::RecoveryKey
        );
        let error = which(&done, Some(Step::Config)).unwrap_err().to_string();
        assert!(error.contains("undo recovery-key first"), "{error}");
        let error = which(&done, Some(Step::Pins)).unwrap_err().to_string();
        assert!(error.contains("not done"), "{error}");
        assert!(which(&done, Some(Step::FirstBoot)).is_err());
        assert!(which(&planned(&[]), None).is_err());
        let all = planned(&Step::ALL);
        assert_eq!(which(&all, None).unwrap(), Step::Pins);
        assert_eq!(
            which(&all, Some(Step::RecoveryKey)).unwrap(),
            Step::RecoveryKey
        );
    }
}
