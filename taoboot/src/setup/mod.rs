//! `taoboot setup --check`: what a measured boot of this machine still needs.

mod files;
mod finding;
mod tpm;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{CheckedHeader, find_records};
use anyhow::{Result, ensure};
use argh::FromArgs;
use serde_json::json;

use crate::volume::root_volume;
use finding::{Finding, State};

/// Say what is ready for a measured boot, what is missing, and what to do next. Reads only. Exit code 0:
/// nothing is missing, 2: something is.
#[derive(FromArgs)]
#[argh(subcommand, name = "setup")]
pub struct Setup {
    /// look, and change nothing; the steps themselves are in enrol-the-first-machine
    #[argh(switch)]
    check: bool,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory")]
    root: Option<PathBuf>,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Setup {
    pub fn run(self) -> Result<ExitCode> {
        ensure!(
            self.check,
            "say --check: what is missing is then named with the command for it"
        );
        let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
        let mut findings = files::before_the_tpm(root);
        let (of_the_tpm, launch) = tpm::findings(root, &self.tcti);
        findings.extend(of_the_tpm);
        let (volume, enrolled) = volume(root);
        findings.push(volume);
        findings.extend(files::after_the_volume(root));
        findings.extend(launch);
        findings.push(files::platform(root));
        findings.push(enrolled);
        let next = findings
            .iter()
            .find(|finding| finding.state == State::Missing);
        if self.json {
            let ready = next.is_none();
            println!("{:#}", json!({ "ready": ready, "findings": findings }));
        } else {
            for finding in &findings {
                print!("{finding}");
            }
            match next.and_then(|next| Some((next.what, next.todo.as_ref()?))) {
                Some((what, todo)) => println!("next: {what}: {todo}"),
                None => println!(
                    "nothing is missing; `taoboot check-next-boot` says what the next boot will do"
                ),
            }
        }
        Ok(match next {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::from(crate::exit::EXIT_FAILURE),
        })
    }
}

/// The volume under root, and whether it is enrolled.
fn volume(root: &Path) -> (Finding, Finding) {
    const WHAT: &str = "volume";
    let enroll = "in the measured launch `taoboot enroll --all --current --rollback-counter`";
    let not_yet = || Finding::missing("enrolment", "no volume to enrol", enroll);
    let device = match root_volume::named_or_root_of(root, None) {
        Ok(device) => device,
        Err(error) => {
            let todo = "install the system with encryption (LUKS2); taoboot does not encrypt what is there";
            return (
                Finding::missing(WHAT, format!("{error:#}"), todo),
                not_yet(),
            );
        }
    };
    let header = match CheckedHeader::read(&device) {
        Ok(header) => header,
        Err(error) => {
            let todo = "see the sentence itself";
            return (Finding::missing(WHAT, error.to_string(), todo), not_yet());
        }
    };
    let found = format!("{}: LUKS2 {}", device.display(), header.uuid());
    let records = find_records(&header);
    let usable = records.iter().filter(|(_, record)| record.is_ok()).count();
    let enrolled = if usable == 0 {
        Finding::missing("enrolment", "no record in the volume's header", enroll)
    } else {
        Finding::ready("enrolment", format!("{usable} records"))
    };
    (Finding::ready(WHAT, found), enrolled)
}
