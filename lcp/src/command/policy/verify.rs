//! `lcp policy verify`: would SINIT accept it?

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::{Wanted, file, refuse_idle};
use lcp::{
    check::{self, Report, Target},
    policy_data::PolicyData,
};
use serde_json::{Value, json};
use txt::{
    acm::Acm,
    hash::{Digest, HashAlg},
    mlehash::Mle,
};

use super::read::read_policy;
use crate::command::number;

/// Would SINIT accept this data file under this policy? Exit 1 when not.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
pub struct Verify {
    /// the policy's file
    #[argh(option)]
    policy: PathBuf,
    /// the data file
    #[argh(option)]
    data: Option<PathBuf>,
    /// tboot.gz: which list and element allow it?
    #[argh(option)]
    tboot: Option<PathBuf>,
    /// tboot's command line (default: none)
    #[argh(option, default = "String::new()")]
    cmdline: String,
    /// the MLE's hash as ALG:HEX, instead of --tboot; may be repeated
    #[argh(option)]
    mle_hash: Vec<String>,
    /// the SINIT module: its version and its hashes must suit the policy
    #[argh(option)]
    sinit: Option<PathBuf>,
    /// version of the SINIT module, instead of --sinit
    #[argh(option, from_str_fn(number::u8))]
    sinit_version: Option<u8>,
    /// size of the NV index that the policy goes into, in bytes
    #[argh(option)]
    nv_size: Option<usize>,
    /// the policy that it replaces: counters must not go backwards
    #[argh(option)]
    previous: Option<PathBuf>,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> Result<ExitCode> {
        let cmdline = ("--cmdline", !self.cmdline.is_empty());
        if self.tboot.is_none() {
            refuse_idle(&[cmdline], "without --tboot")?;
        }
        if self.tboot.is_some() && !self.mle_hash.is_empty() {
            bail!("give only one of --tboot and --mle-hash");
        }
        if self.sinit.is_some() && self.sinit_version.is_some() {
            bail!("give only one of --sinit and --sinit-version");
        }
        let policy = read_policy(&self.policy)?;
        let data = match &self.data {
            Some(path) => {
                let bytes = file::read(path)?;
                let data = PolicyData::parse(&bytes);
                Some(file::parsed(path, &bytes, Wanted::PolicyData, data)?)
            }
            None => None,
        };
        let mut target = Target {
            mle_hashes: self.mle_hashes()?,
            nv_size: self.nv_size,
            ..Target::default()
        };
        if let Some(path) = &self.sinit {
            let bytes = file::read(path)?;
            let acm = file::parsed(path, &bytes, Wanted::Sinit, Acm::parse(&bytes))?;
            target.add_sinit(&acm);
        }
        if self.sinit_version.is_some() {
            target.sinit_version = self.sinit_version;
        }
        let mut report = check::check(&policy, data.as_ref(), &target)?;
        if let Some(path) = &self.previous {
            let old = read_policy(path)?;
            report
                .findings
                .extend(check::against_previous(&old, &policy));
        }
        print_report(&report, self.json);
        Ok(if report.accepted() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// The MLE's hash in every algorithm: of --tboot, or as given.
    fn mle_hashes(&self) -> Result<Vec<Digest>> {
        let mut hashes = Vec::new();
        for text in &self.mle_hash {
            let (alg, hex) = text
                .split_once(':')
                .with_context(|| format!("--mle-hash {text}: ALG:HEX"))?;
            hashes.push(Digest::from_hex(alg.parse()?, hex)?);
        }
        if let Some(path) = &self.tboot {
            let bytes = file::read_at_most(path, txt::mlehash::MAX_IMAGE_LEN as u64)?;
            let mle = file::parsed(path, &bytes, Wanted::Tboot, Mle::parse(&bytes))?;
            for alg in HashAlg::ALL {
                hashes.push(mle.hash(alg, self.cmdline.as_bytes())?);
            }
        }
        Ok(hashes)
    }
}

fn print_report(report: &Report, as_json: bool) {
    if !as_json {
        for finding in &report.findings {
            println!("{finding}");
        }
        if let Some(place) = &report.allowed_by {
            let check::Match {
                list,
                element,
                hash,
            } = place;
            println!("the MLE is allowed by list {list}, element {element}, hash {hash}");
        }
        println!(
            "{}",
            if report.accepted() {
                "accepted"
            } else {
                "refused"
            }
        );
        return;
    }
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({ "severity": finding.severity.name(), "list": finding.list, "text": finding.text })
        })
        .collect();
    let allowed = report
        .allowed_by
        .as_ref()
        .map(|place| json!({ "list": place.list, "element": place.element, "hash": place.hash }));
    let document =
        json!({ "accepted": report.accepted(), "findings": findings, "allowed_by": allowed });
    println!("{document:#}");
}
