//! `taoboot setup --check`: what a measured boot of this machine still needs.

use std::{path::Path, process::ExitCode};

use agent::unlock::{CheckedHeader, find_records};
use anyhow::Result;
use serde_json::json;

use super::{
    files,
    finding::{Finding, State},
    tpm,
};
use crate::volume::root_volume;

/// Says it; exit code 0: nothing is missing, 2: something is.
pub fn run(root: &Path, tcti: &str, as_json: bool) -> Result<ExitCode> {
    let mut findings = files::before_the_tpm(root);
    let (of_the_tpm, launch) = tpm::findings(root, tcti);
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
    if as_json {
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
