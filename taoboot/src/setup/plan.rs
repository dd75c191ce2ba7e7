//! Which steps are done, which can be done now, and what the others wait for: from what was seen on the
//! machine alone.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::step::Step;

/// What was seen.
#[derive(Debug)]
pub struct Facts {
    pub config: ConfigFile,
    /// Are images and menu those that were made here? Otherwise why not.
    pub images: Result<String>,
    /// tboot's own policy.
    pub policy: bool,
    /// The volumes that the machine needs, root's first.
    pub volumes: Vec<PathBuf>,
    pub recovery_keys: usize,
    /// Records that nothing shows to be forged.
    pub records: usize,
    /// Was this boot a measured launch? Otherwise why not.
    pub launch: Result<()>,
    pub platform: bool,
    /// Do the images in place pin what enrolment pinned? `None`: it pinned nothing.
    pub pinned: Option<bool>,
    /// The resident agent answers: this boot was unlocked by the TPM.
    pub agent: bool,
}

/// The images' configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigFile {
    There,
    Missing,
    /// It cannot be used; why.
    Wrong(String),
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Done,
    /// It can be done.
    Now,
    /// It begins with a restart.
    Reboot,
    /// A person does it.
    Hand,
    /// It comes after another.
    Later,
}

/// A step and where it stands.
#[derive(Debug, Serialize)]
pub struct Planned {
    pub step: Step,
    pub state: State,
    /// One sentence.
    pub why: String,
}

/// All steps. Nothing after one that waits for a restart or a person is to be done now.
pub fn plan(facts: &Facts, wants_recovery_key: bool) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::with_capacity(Step::ALL.len());
    for step in Step::ALL {
        let (mut state, mut why) = alone(facts, step, wants_recovery_key);
        // A launch of what is not made yet has not taken place.
        if step == Step::FirstBoot && planned.iter().any(|before| before.makes_the_launch()) {
            (state, why) = (
                State::Reboot,
                choose("what is made now has not been booted"),
            );
        }
        let waits = planned
            .iter()
            .find(|before| matches!(before.state, State::Reboot | State::Hand));
        if let (Some(before), true) = (waits, state != State::Done) {
            (state, why) = (State::Later, format!("after {}", before.step));
        }
        planned.push(Planned { step, state, why });
    }
    planned
}

impl Planned {
    /// Does it change what is measured, and is it still to be done?
    fn makes_the_launch(&self) -> bool {
        matches!(self.step, Step::Config | Step::Images | Step::Policy) && self.state != State::Done
    }
}

/// Without the others.
fn alone(facts: &Facts, step: Step, wants_recovery_key: bool) -> (State, String) {
    let done = |found: &str| (State::Done, found.to_owned());
    let now = |found: &str| (State::Now, found.to_owned());
    match step {
        Step::Config => match &facts.config {
            ConfigFile::There => done("/etc/taoboot/image.toml"),
            ConfigFile::Missing => now("no /etc/taoboot/image.toml"),
            ConfigFile::Wrong(why) => (
                State::Hand,
                format!("repair /etc/taoboot/image.toml: {why}"),
            ),
        },
        Step::Images => match &facts.images {
            Ok(found) => done(found),
            Err(why) => now(&format!("{why:#}")),
        },
        Step::Policy if facts.policy => done("/etc/taoboot/vlp.pol"),
        Step::Policy => now("no /etc/taoboot/vlp.pol"),
        Step::RecoveryKey if facts.recovery_keys > 0 => {
            done(&format!("{} in the volume's header", facts.recovery_keys))
        }
        Step::RecoveryKey if !wants_recovery_key => done("not wanted (--no-recovery-key)"),
        Step::RecoveryKey => now("none in the volume's header"),
        Step::FirstBoot => match &facts.launch {
            Ok(()) => done("this boot was a measured launch"),
            Err(why) => (State::Reboot, choose(&format!("{why:#}"))),
        },
        Step::Platform if facts.platform => done("/var/lib/taoboot/platform.json"),
        Step::Platform => now("no /var/lib/taoboot/platform.json"),
        Step::Enrolment if facts.records > 0 => done(&format!("{} records", facts.records)),
        Step::Enrolment => now("no record in the volume's header"),
        Step::Pins => match (facts.pinned, facts.agent) {
            (Some(true), true) => {
                done("the images in place have the pins, and the TPM unlocked this boot")
            }
            // Records may be anybody's, or of another launch: that the machine unlocks itself is seen, not read.
            (_, true) => now("the images in place do not have them"),
            (_, false) => (
                State::Reboot,
                "restart into the same entry: the machine unlocks itself, and then run this again"
                    .to_owned(),
            ),
        },
    }
}

fn choose(why: &str) -> String {
    format!(
        "restart, choose the newest entry of GRUB's submenu \"taoboot: tboot\", type the passphrase, and then run this again ({why}; if that entry was booted, `taoboot why` says why it was not measured)"
    )
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn fresh() -> Facts {
        Facts {
            config: ConfigFile::Missing,
            images: Err(anyhow!("none")),
            policy: false,
            volumes: vec!["/dev/sda3".into()],
            recovery_keys: 0,
            records: 0,
            launch: Err(anyhow!("no launch")),
            platform: false,
            pinned: None,
            agent: false,
        }
    }

    fn states(facts: &Facts) -> Vec<State> {
        let planned = plan(facts, true);
        planned.iter().map(|planned| planned.state).collect()
    }

    #[test]
    fn each_boot_goes_on_where_the_last_one_ended() {
        use State::{Done, Later, Now, Reboot};
        let mut facts = fresh();
        let all = [Now, Now, Now, Now, Reboot, Later, Later, Later];
        assert_eq!(states(&facts), all);
        // In a launch of other images.
        facts.launch = Ok(());
        assert_eq!(states(&facts), all);
        facts.config = ConfigFile::There;
        facts.images = Ok("one".into());
        facts.policy = true;
        facts.recovery_keys = 1;
        facts.launch = Err(anyhow!("no launch"));
        let before = [Done, Done, Done, Done, Reboot, Later, Later, Later];
        assert_eq!(states(&facts), before);
        facts.launch = Ok(());
        let launched = [Done, Done, Done, Done, Done, Now, Now, Reboot];
        assert_eq!(states(&facts), launched);
        facts.platform = true;
        facts.records = 1;
        facts.pinned = Some(false);
        let enrolled = [Done, Done, Done, Done, Done, Done, Done, Reboot];
        assert_eq!(states(&facts), enrolled);
        facts.agent = true;
        assert_eq!(states(&facts)[7], Now);
        facts.pinned = Some(true);
        assert_eq!(states(&facts), [Done; 8]);
        // Booted with a passphrase: whatever is in the header, the machine did not unlock itself.
        facts.agent = false;
        assert_eq!(states(&facts), enrolled);
    }

    #[test]
    fn nothing_is_done_after_a_step_that_is_a_persons() {
        let mut facts = fresh();
        facts.config = ConfigFile::Wrong("line 1".into());
        let found = states(&facts);
        assert_eq!(found[0], State::Hand);
        assert_eq!(found[1..], [State::Later; 7]);
    }

    #[test]
    fn a_recovery_key_that_is_not_wanted_is_not_made() {
        let mut facts = fresh();
        assert_eq!(plan(&facts, false)[3].state, State::Done);
        facts.recovery_keys = 1;
        assert_eq!(plan(&facts, true)[3].state, State::Done);
    }
}
