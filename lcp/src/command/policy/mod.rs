//! `lcp policy`: make, show and check policies.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::{FileKind, Wanted, file, refuse_idle};
use lcp::{
    check::{self, Report, Severity, Target},
    policy_data::PolicyData,
};
use serde_json::{Value, json};
use txt::{
    hash::{Digest, HashAlg},
    policy::{
        DATA_SIGNATURE, DATA_UUID_V1, Policy, Policy12, Policy20, PolicyDataV1, PolicyType,
        PolicyV1, PolicyVersion20, SignMask,
    },
};

use super::{describe, list, number};

mod read;
mod verify;

/// Make, show and check policies and their data files.
#[derive(FromArgs)]
#[argh(subcommand, name = "policy")]
pub struct PolicyCommand {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Create(Create),
    Show(Show),
    Verify(verify::Verify),
}

/// Make a policy for TPM NV, and the data file of its lists.
#[derive(FromArgs)]
#[argh(subcommand, name = "create")]
struct Create {
    /// version: 3.0, 3.1, 3.2 (TPM 2.0; default 3.2) or 2.0 to 2.4 (TPM 1.2)
    #[argh(option, default = "String::from(\"3.2\")")]
    version: String,
    /// file to write the policy to
    #[argh(option)]
    out: PathBuf,
    /// file to write the lists to; with lists only
    #[argh(option)]
    data: Option<PathBuf>,
    /// accept any MLE on any platform, without lists
    #[argh(switch)]
    any: bool,
    /// hash algorithm (default sha256; TPM 1.2 has sha1)
    #[argh(option)]
    alg: Option<HashAlg>,
    /// further hash algorithms that elements may use; may be repeated
    #[argh(option)]
    hash_alg: Vec<HashAlg>,
    /// signature that lists may have (default: those of the lists; needed when none is signed): rsa-2048-sha1, rsa-2048-sha256, rsa-3072-sha256,
    /// rsa-3072-sha384, ecdsa-p256, ecdsa-p384, sm2; may be repeated
    #[argh(option)]
    sign: Vec<String>,
    /// lowest SINIT version (default 0)
    #[argh(option, default = "0", from_str_fn(number::u8))]
    minver: u8,
    /// highest lowest SINIT version of the platform supplier's policy (default 255)
    #[argh(option, default = "255", from_str_fn(number::u8))]
    max_minver: u8,
    /// lowest revocation counters of the lists, separated by commas (default 0)
    #[argh(option, default = "[0; 8]", from_str_fn(number::counters))]
    counters: [u16; 8],
    /// control bits (default 0)
    #[argh(option, default = "0", from_str_fn(number::u32))]
    control: u32,
    /// the policy that it replaces: counters must not go backwards
    #[argh(option)]
    previous: Option<PathBuf>,
    /// write also what is hardly meant so (each warning is printed)
    #[argh(switch)]
    force: bool,
    /// list files
    #[argh(positional)]
    lists: Vec<PathBuf>,
}

/// Show a policy, a data file, or both.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// policy or data files
    #[argh(positional)]
    files: Vec<PathBuf>,
}

impl PolicyCommand {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<ExitCode> {
        let data = self.lists()?;
        let policy = self.policy(data.as_ref())?;
        let mut report = check::check(&policy, data.as_ref(), &Target::default())?;
        if let Some(path) = &self.previous {
            let old = read::read_policy(path)?;
            report
                .findings
                .extend(check::against_previous(&old, &policy));
        }
        gate(&report, self.force)?;
        if let (Some(data), Some(path)) = (&data, &self.data) {
            file::replace(path, &data.to_bytes()?)?;
        }
        file::replace(&self.out, &policy.to_bytes())?;
        Ok(ExitCode::SUCCESS)
    }

    fn lists(&self) -> Result<Option<PolicyData>> {
        match (self.any, self.lists.is_empty(), &self.data) {
            (true, true, None) => Ok(None),
            (true, ..) => bail!("--any accepts everything: it takes neither lists nor --data"),
            (false, true, _) => bail!("no list: give list files, or --any"),
            (false, false, None) => bail!("--data is needed: the lists are written there"),
            (false, false, Some(_)) => {
                let lists = self
                    .lists
                    .iter()
                    .map(|path| list::read(path))
                    .collect::<Result<_>>()?;
                Ok(Some(PolicyData::new(lists)?))
            }
        }
    }

    fn policy(&self, data: Option<&PolicyData>) -> Result<Policy> {
        let policy_type = if self.any {
            PolicyType::Any
        } else {
            PolicyType::List
        };
        let hash = |alg| match data {
            Some(data) => data.hash(alg),
            None => Ok(Digest::zero(alg)),
        };
        if let Some(minor) = self.version.strip_prefix("2.") {
            let minor = number::u8(minor).map_err(anyhow::Error::msg)?;
            if self.alg.is_some_and(|alg| alg != HashAlg::Sha1) || !self.hash_alg.is_empty() {
                bail!("a policy for TPM 1.2 has sha1 only");
            }
            refuse_idle(
                &[("--sign", !self.sign.is_empty())],
                "in a policy for TPM 1.2",
            )?;
            let mut policy = Policy12::new(minor, policy_type, hash(HashAlg::Sha1)?)?;
            policy.sinit_min_version = self.minver;
            policy.max_sinit_min_version = self.max_minver;
            policy.data_revocation_counters = self.counters;
            policy.control = self.control;
            return Ok(Policy::Tpm12(policy));
        }
        let version = match self.version.as_str() {
            "3.0" => PolicyVersion20::V3_0,
            "3.1" => PolicyVersion20::V3_1,
            "3.2" => PolicyVersion20::V3_2,
            other => bail!("{other:?} is not a policy version: 3.0, 3.1, 3.2, or 2.0 to 2.4"),
        };
        // Without lists there is no signature.
        let mut mask = data.map(check::sign_mask).unwrap_or_default();
        for name in &self.sign {
            let bit = SignMask::named(name)
                .with_context(|| format!("--sign {name}: see lcp policy create --help"))?;
            mask.0 |= bit.0;
        }
        if mask.0 == 0 {
            bail!("no list is signed, so that --sign is needed: see lcp policy create --help");
        }
        let alg = self.alg.unwrap_or(HashAlg::Sha256);
        let mut policy = Policy20::new(version, policy_type, hash(alg)?, mask);
        for alg in &self.hash_alg {
            policy.hash_mask |= alg.mask();
        }
        policy.sinit_min_version = self.minver;
        policy.max_sinit_min_version = self.max_minver;
        policy.data_revocation_counters = self.counters;
        policy.control = self.control;
        Ok(Policy::Tpm20(policy))
    }
}

impl Show {
    fn run(self) -> Result<ExitCode> {
        if self.files.is_empty() {
            bail!("no file: give a policy, a data file, or both");
        }
        let mut values = Vec::new();
        for path in &self.files {
            let bytes = file::read(path)?;
            // Either is shown: a damaged data file is one of its own kind.
            let wanted = match FileKind::of(&bytes) {
                FileKind::PolicyData => Wanted::PolicyData,
                _ => Wanted::LaunchPolicy,
            };
            let value = file::parsed(path, &bytes, wanted, any_file(&bytes))?;
            values.push(value);
        }
        match (values.as_slice(), self.json) {
            ([one], _) => describe::print(one, self.json),
            // One document, so that a machine can read it.
            (several, true) => describe::print(&json!(several), true),
            (several, false) => several
                .iter()
                .for_each(|value| describe::print(value, false)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a policy or data file holds, of either generation.
fn any_file(bytes: &[u8]) -> Result<Value> {
    if bytes.starts_with(&DATA_SIGNATURE) {
        return Ok(describe::data(&PolicyData::parse(bytes)?));
    }
    if bytes.starts_with(&DATA_UUID_V1) {
        return Ok(describe::data_v1(&PolicyDataV1::parse(bytes)?));
    }
    // Version 1 has one byte for its version, 0 or 1, and then sha1's 0.
    if matches!(bytes, [0 | 1, 0, ..]) {
        return Ok(describe::policy_v1(&PolicyV1::parse(bytes)?));
    }
    Ok(describe::policy(&Policy::parse(bytes)?))
}

/// Prints what was found; refuses what SINIT refuses, and without `force` what is hardly meant so.
pub fn gate(report: &Report, force: bool) -> Result<()> {
    for finding in &report.findings {
        match finding.severity {
            Severity::Refused => bail!("SINIT would refuse this policy: {finding}"),
            Severity::Warning if !force => bail!("{finding} (--force writes it nevertheless)"),
            Severity::Warning | Severity::Note => eprintln!("lcp: {finding}"),
            Severity::Condition => {}
        }
    }
    Ok(())
}
