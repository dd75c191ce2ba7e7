//! `tboot-policy create`, `add`, `del`, `show`, `unwrap`, `wrap`: the policy file itself.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use argh::FromArgs;
use commands::Wanted;
use commands::file;
use serde_json::{Value, json};
use tboot_policy::{
    module::{MAX_MODULE_LEN, Module},
    vlp::{Check, ElementKind, Object, Policy, PolicyType, pcr_from_word},
};
use txt::hash::{Digest, HashAlg};

/// Make an empty policy.
#[derive(FromArgs)]
#[argh(subcommand, name = "create")]
pub struct Create {
    /// what tboot does on a mismatch: nonfatal (boots), continue (boots on a wrong hash), halt
    #[argh(option, long = "type")]
    policy_type: PolicyType,
    /// hash algorithm: sha1, sha256 (default), sha384 or sha512; that of tboot's extpol= option
    #[argh(option, default = "HashAlg::Sha256")]
    alg: HashAlg,
    /// do not measure the policy itself into PCR 17
    #[argh(switch)]
    no_extend: bool,
    /// replace an existing file
    #[argh(switch)]
    force: bool,
    /// the policy file
    #[argh(positional)]
    policy: PathBuf,
}

/// Allow a module, or one more content of it.
#[derive(FromArgs)]
#[argh(subcommand, name = "add")]
pub struct Add {
    /// module number from 0 (SINIT and policy data not counted), or any
    #[argh(option, from_str_fn(object))]
    num: Object,
    /// PCR to extend the module into (0 to 23), or none
    #[argh(option)]
    pcr: String,
    /// the module's command line: the text that GRUB passes, without the file name (default: none)
    #[argh(option)]
    cmdline: Option<String>,
    /// allow exactly this file with the command line
    #[argh(option)]
    image: Option<PathBuf>,
    /// allow exactly this hash, in hexadecimal, where the file is not at hand
    #[argh(option)]
    hash: Option<String>,
    /// allow any content
    #[argh(switch)]
    any: bool,
    /// the policy file
    #[argh(positional)]
    policy: PathBuf,
}

/// Remove a module's entry, or one of its hashes.
#[derive(FromArgs)]
#[argh(subcommand, name = "del")]
pub struct Del {
    /// module number from 0, or any
    #[argh(option, from_str_fn(object))]
    num: Object,
    /// remove only the hash at this position, from 0 (default: the whole entry)
    #[argh(option)]
    pos: Option<usize>,
    /// the policy file
    #[argh(positional)]
    policy: PathBuf,
}

/// Show a policy, and what in it is hardly meant so.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
pub struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the policy file, or the content of its NV index
    #[argh(positional)]
    policy: PathBuf,
}

/// Take the policy out of an element of a launch control policy.
#[derive(FromArgs)]
#[argh(subcommand, name = "unwrap")]
pub struct Unwrap {
    /// the element file
    #[argh(option)]
    element: PathBuf,
    /// the policy file to write
    #[argh(positional)]
    policy: PathBuf,
}

/// Put the policy into an element for a launch control policy, where tboot finds it too.
#[derive(FromArgs)]
#[argh(subcommand, name = "wrap")]
pub struct Wrap {
    /// the element's control field (default 1, as tboot's tools write it)
    #[argh(option, default = "1")]
    control: u32,
    /// make an element of type 3, for lists of version 1.0 (TPM 1.2)
    #[argh(switch)]
    tpm12: bool,
    /// the element file to write
    #[argh(option)]
    element: PathBuf,
    /// the policy file
    #[argh(positional)]
    policy: PathBuf,
}

fn object(text: &str) -> Result<Object, String> {
    Object::module_from_word(text).map_err(|error| error.to_string())
}

/// Reads a policy file, or an NV index's content, which may be longer than the policy.
pub fn read_policy(path: &Path) -> Result<Policy> {
    let bytes = file::read(path)?;
    let shown = || path.display().to_string();
    let policy = Policy::parse_prefix(&bytes);
    let (policy, len) = file::parsed(path, &bytes, Wanted::VerifiedPolicy, policy)?;
    let rest = bytes.get(len..).with_context(shown)?;
    // An NV index is longer than its policy and filled up with 00 or ff.
    let filler = rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff);
    ensure!(
        filler,
        "{}: {} bytes follow the policy that are neither 00 nor ff: it is damaged",
        shown(),
        rest.len()
    );
    Ok(policy)
}

/// Prints the warnings about a policy.
pub fn warn(policy: &Policy) {
    for warning in policy.warnings() {
        eprintln!("tboot-policy: warning: {warning}");
    }
}

impl Create {
    pub fn run(self) -> Result<ExitCode> {
        let shown = self.policy.display();
        if self.policy.exists() && !self.force {
            bail!("{shown} exists: remove it, or replace it with --force");
        }
        let control = if self.no_extend {
            0
        } else {
            Policy::EXTEND_PCR17
        };
        let policy = Policy::new(self.policy_type, self.alg, control, Vec::new())?;
        file::replace(&self.policy, &policy.to_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    pub fn run(self) -> Result<ExitCode> {
        let mut policy = read_policy(&self.policy)?;
        let given = [self.image.is_some(), self.hash.is_some(), self.any];
        if given.iter().filter(|given| **given).count() != 1 {
            bail!("give one of --image FILE, --hash HEX and --any");
        }
        if self.cmdline.is_some() && self.image.is_none() {
            bail!("--cmdline counts with --image only: a hash has its command line in it already");
        }
        let alg = policy.alg();
        let hash = match (&self.image, &self.hash) {
            (Some(image), _) => Some(hash_file(image, self.cmdline.as_deref(), alg)?),
            (None, Some(hex)) => Some(Digest::from_hex(alg, hex).context("--hash")?),
            (None, None) => None,
        };
        if hash.as_ref().is_some_and(Digest::is_zero) {
            bail!("--hash: a hash of all zeros is not a module's");
        }
        let entries = policy.entries();
        let known = entries.iter().find(|entry| entry.object == self.num);
        if let (Some(hash), Some(entry)) = (&hash, known)
            && entry.hashes.contains(hash)
        {
            bail!("the entry for {} has this hash already: {hash}", self.num);
        }
        policy.allow(self.num, pcr_from_word(&self.pcr)?, hash)?;
        file::replace(&self.policy, &policy.to_bytes())?;
        warn(&policy);
        Ok(ExitCode::SUCCESS)
    }
}

fn hash_file(image: &Path, cmdline: Option<&str>, alg: HashAlg) -> Result<Digest> {
    let bytes = file::read_at_most(image, MAX_MODULE_LEN as u64)?;
    let name = image.display().to_string();
    // Without --cmdline the command line is empty.
    let module = Module::new(name, cmdline.unwrap_or_default(), bytes);
    Ok(module.hash(alg)?)
}

impl Del {
    pub fn run(self) -> Result<ExitCode> {
        let mut policy = read_policy(&self.policy)?;
        match self.pos {
            Some(position) => policy.remove_hash(self.num, position)?,
            None => drop(policy.remove(self.num)?),
        }
        file::replace(&self.policy, &policy.to_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    pub fn run(self) -> Result<ExitCode> {
        let policy = read_policy(&self.policy)?;
        if self.json {
            println!("{:#}", policy_json(&policy));
            return Ok(ExitCode::SUCCESS);
        }
        let extend = policy.control() & Policy::EXTEND_PCR17 != 0;
        println!(
            "type:    {} ({})",
            policy.policy_type().name(),
            policy.policy_type().meaning()
        );
        println!("hashes:  {}", policy.alg());
        println!(
            "control: {:#x}{}",
            policy.control(),
            if extend {
                " (measured into PCR 17)"
            } else {
                ""
            }
        );
        println!("length:  {} bytes", policy.byte_len());
        for (position, entry) in policy.entries().iter().enumerate() {
            let pcr = entry
                .pcr
                .map_or("no PCR".to_owned(), |pcr| format!("PCR {pcr}"));
            let nv = match entry.object {
                Object::NvHashed | Object::NvRaw => format!(" {:#010x}", entry.nv_index),
                Object::Module(_) | Object::AnyModule => String::new(),
            };
            let check = match entry.check {
                Check::Any => "any content",
                Check::Image => "only with one of these hashes",
            };
            println!("entry {position}: {}{nv}, {pcr}, {check}", entry.object);
            for hash in &entry.hashes {
                println!("  {hash}");
            }
        }
        warn(&policy);
        Ok(ExitCode::SUCCESS)
    }
}

/// A policy as JSON.
pub fn policy_json(policy: &Policy) -> Value {
    let entries: Vec<Value> = policy
        .entries()
        .iter()
        .map(|entry| {
            let (object, nv) = match entry.object {
                Object::Module(number) => (json!(number.get()), None),
                Object::AnyModule => (json!("any"), None),
                Object::NvHashed => (json!("nv"), Some(entry.nv_index)),
                Object::NvRaw => (json!("nv_raw"), Some(entry.nv_index)),
            };
            json!({
                "object": object,
                "nv_index": nv,
                "pcr": entry.pcr,
                "check": match entry.check { Check::Any => "any", Check::Image => "image" },
                "hashes": entry.hashes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "version": 2,
        "type": policy.policy_type().name(),
        "alg": policy.alg().name(),
        "control": policy.control(),
        "length": policy.byte_len(),
        "entries": entries,
        "warnings": policy.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

impl Unwrap {
    pub fn run(self) -> Result<ExitCode> {
        let bytes = file::read(&self.element)?;
        let policy = Policy::from_element(&bytes);
        let policy = file::parsed(&self.element, &bytes, Wanted::PolicyPart, policy)?;
        file::replace(&self.policy, &policy.to_bytes())?;
        warn(&policy);
        Ok(ExitCode::SUCCESS)
    }
}

impl Wrap {
    pub fn run(self) -> Result<ExitCode> {
        let policy = read_policy(&self.policy)?;
        let kind = if self.tpm12 {
            ElementKind::Legacy
        } else {
            ElementKind::Custom
        };
        let element = policy.to_element(kind, self.control);
        file::replace(&self.element, &element.to_bytes()?)?;
        warn(&policy);
        Ok(ExitCode::SUCCESS)
    }
}
