//! The enrolment that `taoboot setup` makes: of the launch that runs, with a rollback counter.

use std::path::{Path, PathBuf};

use tpm::PcrSet;

use super::Enroll;

/// What is asked of it.
pub struct FirstTime<'f> {
    /// Root's first.
    pub volumes: &'f [PathBuf],
    pub passphrase_files: &'f [PathBuf],
    pub owner_password_file: Option<&'f Path>,
    pub root: &'f Path,
    pub config: PathBuf,
    pub tcti: &'f str,
}

impl FirstTime<'_> {
    /// Recovery keys are a step of their own.
    pub fn enroll(&self) -> Enroll {
        Enroll {
            volume: self.volumes.to_vec(),
            all: false,
            pcrs: PcrSet::LAUNCH,
            new_tpm: false,
            expect: None,
            current: true,
            policy_key: None,
            rollback_counter: true,
            owner_password_file: self.owner_password_file.map(Path::to_owned),
            pin: false,
            pin_file: None,
            new_secret: false,
            force: false,
            new_host_secret: false,
            swap: None,
            tcti: self.tcti.to_owned(),
            passphrase_file: self.passphrase_files.to_vec(),
            unlock_key_file: Vec::new(),
            dry_run: false,
            label: String::new(),
            component: Vec::new(),
            recovery_key: false,
            recovery_key_file: None,
            no_recovery_key: true,
            config: self.config.clone(),
            root: self.root.to_owned(),
            pins: true,
            no_pins: false,
            json: false,
        }
    }

    /// The command that does the same.
    pub fn words(&self) -> String {
        let mut words = "taoboot enroll".to_owned();
        for volume in self.volumes {
            words.push_str(&format!(" --volume {}", volume.display()));
        }
        words + " --current --rollback-counter --pins --no-recovery-key"
    }
}
