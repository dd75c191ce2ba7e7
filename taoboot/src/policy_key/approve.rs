//! `taoboot approve`.

use std::{path::PathBuf, process::ExitCode};

use agent::unlock::{
    ApprovedLaunch, CheckedHeader, TokenId, enrolment::Resealing, find_enrolled, find_records,
};
use anyhow::{Context as _, Result, ensure};
use argh::FromArgs;
use serde_json::{Value, json};
use tpm::AuthPolicy;

use crate::{policy_key, volume::root_volume};

/// Store launches that the owner's policy key signed, so that the volume opens for them. No
/// passphrase is needed. Nothing is stored before all of them are found good.
#[derive(FromArgs)]
#[argh(subcommand, name = "approve")]
pub struct Approve {
    /// what `taoboot policy-key sign` or `attach` wrote
    #[argh(positional, arg_name = "file")]
    approvals: PathBuf,
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Approve {
    pub fn run(self) -> Result<ExitCode> {
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let launches = self.read()?;
        CheckedHeader::read(&device)?;
        let mut volume = Resealing::begin(&device)?;
        let header = volume.header()?;
        let enrolled = find_enrolled(&header);
        for launch in &launches {
            let known = enrolled.iter().any(|(_, record)| {
                record.as_ref().is_ok_and(|record| {
                    record.parts().policy == AuthPolicy::Signed(launch.signature.signer.clone())
                })
            });
            ensure!(
                known,
                "{}: {} is signed by a policy key that {} is not enrolled with: taoboot enroll --policy-key",
                self.approvals.display(),
                named(launch),
                device.display()
            );
        }
        let mut stored: Vec<(TokenId, String, bool)> = Vec::new();
        for launch in &launches {
            let present = find_records(&volume.header()?)
                .into_iter()
                .find(|(_, record)| {
                    record.as_ref().is_ok_and(|record| {
                        record.approval().launch() == &launch.launch
                            && record.signer() == Some(&launch.signature.signer)
                    })
                });
            stored.push(match present {
                Some((token, _)) => (token, launch.label.clone(), false),
                None => (volume.approve(launch)?, launch.label.clone(), true),
            });
        }
        if self.json {
            let list: Vec<Value> = stored
                .iter()
                .map(|(token, label, new)| json!({"record": token, "label": label, "new": new}))
                .collect();
            println!("{:#}", json!({ "volume": device, "approved": list }));
        } else {
            for (token, label, new) in &stored {
                let said = if *new { "stored" } else { "was there already" };
                let label = if label.is_empty() {
                    String::new()
                } else {
                    format!(": {label}")
                };
                println!("{}: approval {token} {said}{label}", device.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Every signature is checked before anything is written.
    fn read(&self) -> Result<Vec<ApprovedLaunch>> {
        let shown = self.approvals.display();
        let text = policy_key::read(&self.approvals)?;
        let tree: Value =
            serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))?;
        let list = match tree {
            Value::Array(list) => list,
            one => vec![one],
        };
        ensure!(!list.is_empty(), "{shown}: holds no approval");
        list.iter()
            .map(|json| {
                let launch = ApprovedLaunch::from_json(json).with_context(|| shown.to_string())?;
                ensure!(
                    policy_key::is_good(&launch),
                    "{shown}: the signature for {} is not one of its policy key over its launch",
                    named(&launch)
                );
                Ok(launch)
            })
            .collect()
    }
}

/// A launch in a sentence. Not every one has a label.
fn named(launch: &ApprovedLaunch) -> String {
    if launch.label.is_empty() {
        "a launch without a label".to_owned()
    } else {
        format!("{:?}", launch.label)
    }
}
