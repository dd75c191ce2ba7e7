//! `taoboot policy-key sign`, and its two halves for a key that is elsewhere: `digest`, `attach`.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use agent::unlock::{ApprovedLaunch, LaunchPcrs, ROLLBACK_COUNTER};
use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use commands::refuse_idle;
use p256::ecdsa::{Signature, signature::hazmat::PrehashSigner};
use serde_json::Value;
use tpm::{CounterLimit, LaunchPolicy, PcrIndex, PcrSet, PcrValues, PolicySignature, PolicySigner};

use super::{files, known_digests::KnownDigests};
use crate::reseal::proof;
use crate::{
    enroll::pcr_source,
    next_boot::predictions::{Source, select, short_text},
    time,
};

/// Sign predicted launches: the volumes that are enrolled with this key open for them.
#[derive(FromArgs)]
#[argh(subcommand, name = "sign")]
pub struct Sign {
    /// private key, PKCS#8 PEM
    #[argh(option, arg_name = "file")]
    key: PathBuf,
    /// PCR values of one launch; formats as for enroll
    #[argh(option, arg_name = "file")]
    expect: Option<PathBuf>,
    /// or what `tboot-policy predict --all --json` printed
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// of these only this entry, by place, id or title; may be repeated
    #[argh(option, arg_name = "entry")]
    entry: Vec<String>,
    /// with --predictions: sha256sum's list of the files that may be launched; a launch with a file
    /// whose digest is not in it is not signed
    #[argh(option, arg_name = "file")]
    known: Option<PathBuf>,
    /// approve only until the rollback counter is above this value
    #[argh(option, arg_name = "n")]
    limit: Option<u64>,
    /// a note for people, with --expect
    #[argh(option, default = "String::new()", arg_name = "text")]
    label: String,
    /// new file for the approvals
    #[argh(option, arg_name = "file")]
    output: PathBuf,
}

/// Print the SHA-256 digest (hex) that a key elsewhere, such as in an HSM, must sign with ECDSA.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "digest",
    example = "openssl pkeyutl -sign -inkey owner.pem -in <(taoboot policy-key digest --expect launch.json | xxd -r -p) -out launch.sig"
)]
pub struct Digest {
    /// PCR values of the launch; formats as for enroll
    #[argh(option, arg_name = "file")]
    expect: PathBuf,
    /// approve only until the rollback counter is above this value
    #[argh(option, arg_name = "n")]
    limit: Option<u64>,
}

/// Make an approval of a signature that was made elsewhere over what `digest` printed.
#[derive(FromArgs)]
#[argh(subcommand, name = "attach")]
pub struct Attach {
    /// public key, PEM
    #[argh(option, arg_name = "file")]
    public: PathBuf,
    /// the signature: DER, or r and s of 32 bytes each
    #[argh(option, arg_name = "file")]
    signature: PathBuf,
    /// PCR values of the launch, as given to `digest`
    #[argh(option, arg_name = "file")]
    expect: PathBuf,
    /// the limit that was given to `digest`
    #[argh(option, arg_name = "n")]
    limit: Option<u64>,
    /// a note for people
    #[argh(option, default = "String::new()", arg_name = "text")]
    label: String,
    /// new file for the approval
    #[argh(option, arg_name = "file")]
    output: PathBuf,
}

/// PCR values, label, and words for components.
type Launch = (PcrValues, String, BTreeMap<PcrIndex, String>);

impl Sign {
    pub fn run(self) -> Result<ExitCode> {
        let key = files::private_key(&self.key)?;
        let signer = files::signer(&(*key.verifying_key()).into())?;
        let mut approvals = Vec::new();
        for (values, label, components) in self.launches()? {
            let launch = policy(values, self.limit)?;
            let digest = PolicySigner::signed_digest(&launch);
            let signature: Signature = key
                .sign_prehash(&digest)
                .map_err(|error| anyhow::anyhow!("the key cannot sign: {error}"))?;
            approvals.push(ApprovedLaunch {
                launch,
                signature: PolicySignature {
                    signer: signer.clone(),
                    r_and_s: signature.to_bytes().into(),
                },
                label,
                components,
                created: time::now(),
            });
        }
        write(&self.output, &approvals)
    }

    fn launches(&self) -> Result<Vec<Launch>> {
        let file = match (&self.expect, &self.predictions) {
            (Some(file), None) => {
                ensure!(
                    self.entry.is_empty(),
                    "--entry goes with --predictions, not with --expect"
                );
                let known = ("--known", self.known.is_some());
                refuse_idle(&[known], "with --expect: PCR values name no files")?;
                let values = pcr_source::from_file(file, PcrSet::LAUNCH)?;
                return Ok(vec![(values, short_text(&self.label), BTreeMap::new())]);
            }
            (None, Some(file)) => {
                let label = ("--label", !self.label.is_empty());
                refuse_idle(&[label], "with --predictions: the menu has titles")?;
                file
            }
            _ => bail!("say what to sign: either --expect FILE or --predictions FILE"),
        };
        let source = Source {
            predictions: Some(file.clone()),
            ..Source::default()
        };
        let known = self.known.as_deref().map(KnownDigests::read).transpose()?;
        let entries = source.entries()?;
        let mut launches = Vec::new();
        for entry in select(&entries, &self.entry)? {
            match &entry.predicted {
                Ok(_) if entry.halts => {
                    eprintln!("taoboot: {}: not signed, tboot would halt", entry.name);
                }
                Ok(_) if entry.files.is_empty() => {
                    eprintln!(
                        "taoboot: {}: not signed, the prediction names no files",
                        entry.name
                    );
                }
                Ok(values) => {
                    if let Some(path) = proof::unmeasured(entry) {
                        eprintln!(
                            "taoboot: {}: not signed, {path} is loaded but not measured, so that any other file in its place would get the key",
                            entry.name
                        );
                        continue;
                    }
                    let unknown = known.as_ref().and_then(|known| known.misses(&entry.files));
                    if let Some(file) = unknown {
                        eprintln!(
                            "taoboot: {}: not signed, {} with the digest {} is not in the list of known files",
                            printable::line(&entry.name),
                            printable::line(&file.path),
                            printable::line(&file.sha256)
                        );
                        continue;
                    }
                    // Whether they are the right ones only who signs can tell.
                    println!("{}", printable::line(&entry.name));
                    for file in &entry.files {
                        let path = printable::line(&file.path);
                        println!("  {} {path}", printable::line(&file.sha256));
                        if let Some(words) = file.cmdline.as_deref().filter(|w| !w.is_empty()) {
                            println!("    {}", printable::line(words));
                        }
                    }
                    let label = short_text(&entry.title);
                    launches.push(((**values).clone(), label, entry.components.clone()));
                }
                Err(why) => eprintln!("taoboot: {}: not signed: {why}", entry.name),
            }
        }
        ensure!(
            !launches.is_empty(),
            "{}: no entry has a prediction to sign",
            file.display()
        );
        Ok(launches)
    }
}

impl Digest {
    pub fn run(self) -> Result<ExitCode> {
        let values = pcr_source::from_file(&self.expect, PcrSet::LAUNCH)?;
        let launch = policy(values, self.limit)?;
        println!("{}", hex::encode(PolicySigner::signed_digest(&launch)));
        Ok(ExitCode::SUCCESS)
    }
}

impl Attach {
    pub fn run(self) -> Result<ExitCode> {
        let values = pcr_source::from_file(&self.expect, PcrSet::LAUNCH)?;
        let shown = self.signature.display();
        let bytes = fs::read(&self.signature).with_context(|| format!("cannot read {shown}"))?;
        let parsed = Signature::from_der(&bytes).or_else(|_| Signature::from_slice(&bytes));
        let parsed = parsed.map_err(|_| {
            anyhow::anyhow!("{shown} is not an ECDSA signature of P-256, neither DER nor 64 bytes")
        })?;
        let approval = ApprovedLaunch {
            launch: policy(values, self.limit)?,
            signature: PolicySignature {
                signer: files::public_key(&self.public)?,
                r_and_s: parsed.to_bytes().into(),
            },
            label: short_text(&self.label),
            components: BTreeMap::new(),
            created: time::now(),
        };
        ensure!(
            files::is_good(&approval),
            "{shown} is not a signature of {} over this launch: sign what `taoboot policy-key digest` prints for the same --expect and --limit",
            self.public.display()
        );
        write(&self.output, &[approval])
    }
}

fn policy(values: PcrValues, limit: Option<u64>) -> Result<LaunchPolicy> {
    let index = ROLLBACK_COUNTER;
    let counter = limit.map(|limit| CounterLimit { index, limit });
    Ok(ApprovedLaunch::policy(LaunchPcrs::new(values)?, counter)?)
}

fn write(output: &std::path::Path, approvals: &[ApprovedLaunch]) -> Result<ExitCode> {
    let list = approvals
        .iter()
        .map(ApprovedLaunch::to_json)
        .collect::<Result<Vec<Value>, _>>()?;
    files::write_new(output, &format!("{:#}\n", Value::Array(list)), 0o644)?;
    println!(
        "{}: {} launch(es) approved",
        output.display(),
        approvals.len()
    );
    Ok(ExitCode::SUCCESS)
}
