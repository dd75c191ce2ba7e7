//! `tb_polgen`'s commands.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use commands::file;
use original_options::outcome;
use tboot_policy::{
    module::{MAX_MODULE_LEN, Module},
    vlp::{Check, Object, Policy, PolicyType, Warning},
};
use txt::{
    element::{Body, Element},
    hash::{Digest, HashAlg},
};

use super::{
    options::{self, Command, NAME, Params},
    show,
};

const HELP: &str = "\
tb_polgen --create --type        nonfatal|continue|halt
                   [--alg        sha1|sha256 (default)|sha384|sha512]
                   [--ctrl       <policy control value>]
                   [--verbose]
                   <policy file name>
tb_polgen --add    --num         <module number>|any
                   --pcr         <TPM PCR number>|none
                   --hash        any|image
                   [--cmdline    \"command line\"]
                   [--image      <image file name>]
                   [--verbose]
                   <policy file name>
tb_polgen --del    --num         <module number>|any
                   [--pos        <hash number>]
                   [--verbose]
                   <policy file name>
tb_polgen --unwrap --elt         <elt file name>
                   [--verbose]
                   <policy file name>
tb_polgen --show   [--verbose]
                   <policy file name>
tb_polgen --help
";

/// Runs a command line.
pub fn run(words: &[String], compat: bool) -> Result<()> {
    let params = options::parse(words)?;
    if params.verbose {
        params.print();
    }
    match params.command {
        Command::Help => {
            print!("{HELP}");
            Ok(())
        }
        Command::Show => {
            let policy = read(&params)?;
            print!("{}", show::listing(&policy));
            Ok(())
        }
        Command::Create => create(&params, compat),
        Command::Add => add(&params, compat),
        Command::Del => del(&params, compat),
        Command::Unwrap => unwrap(&params, compat),
    }
}

/// The policy file. Bytes behind the policy are taken for the rest of an NV index, as the original
/// does, but not silently.
fn read(params: &Params) -> Result<Policy> {
    let path = &params.policy;
    let bytes = file::read(Path::new(path))?;
    if bytes.is_empty() {
        bail!("{path} is empty");
    }
    let (policy, len) = Policy::parse_prefix(&bytes).with_context(|| path.to_owned())?;
    if len < bytes.len() {
        note(&format!(
            "{} bytes follow the policy in {path}: ignored",
            bytes.len().saturating_sub(len)
        ));
    }
    if params.verbose {
        print!("{}", show::listing(&policy));
    }
    Ok(policy)
}

/// The file that a command changes.
fn existing(params: &Params) -> Result<Policy> {
    if params.verbose {
        println!("reading existing policy file {}...", params.policy);
    }
    read(params)
}

fn write(params: &Params, policy: &Policy) -> Result<()> {
    if params.verbose {
        println!("writing new policy file...");
        print!("{}", show::listing(policy));
    }
    file::replace(Path::new(&params.policy), &policy.to_bytes())
}

fn create(params: &Params, compat: bool) -> Result<()> {
    let kind = params.policy_type.unwrap_or(PolicyType::NonFatal);
    if !Path::new(&params.policy).exists() {
        if params.verbose {
            println!("reading existing policy file {}...", params.policy);
            println!("fopen failed, errno No such file or directory");
        }
        let alg = params.alg.unwrap_or(HashAlg::Sha256);
        let policy = Policy::new(kind, alg, params.control, Vec::new());
        return write(params, &policy?);
    }
    let mut policy = existing(params)?;
    match params.alg {
        Some(alg) if alg != policy.alg() && !compat => {
            bail!(
                "{} holds {} hashes, their algorithm can't become {alg}: remove the file first",
                params.policy,
                policy.alg()
            );
        }
        _ => note("the file exists: its entries and its algorithm stay"),
    }
    policy.set_policy_type(kind);
    policy.set_control(params.control);
    write(params, &policy)
}

fn add(params: &Params, compat: bool) -> Result<()> {
    let mut policy = existing(params)?;
    let (Some(object), Some(pcr)) = (params.object(), params.register()) else {
        bail!("--add needs --num and --pcr");
    };
    let entries = policy.entries();
    let at = if compat {
        applies_to(&policy, object)
            .filter(|at| entries.get(*at).is_some_and(|entry| entry.object == object))
    } else {
        entries.iter().position(|entry| entry.object == object)
    };
    if params.verbose {
        let (num, pcr) = (params.num, params.pcr);
        match at {
            Some(_) => println!("modifying policy entry for mod_num {num}"),
            None => println!(
                "adding new policy entry for mod_num {num} (pcr: {pcr}, hash_type: {})",
                params.check.map_or(-1, |check| check as i32)
            ),
        }
    }
    let hash = match params.check {
        Some(Check::Image) => Some(module_hash(params, policy.alg())?),
        _ => None,
    };
    policy.allow_at(at, object, pcr, hash)?;
    for warning in policy.warnings() {
        if matches!(warning, Warning::Shadowed { .. } | Warning::SameHash(_)) {
            note(&warning.to_string());
        }
    }
    write(params, &policy)
}

/// Where the first entry stands that *applies* to a module, also one for any module: the original
/// changes and deletes this one, and never sees those behind it.
fn applies_to(policy: &Policy, object: Object) -> Option<usize> {
    let fits = |found: Object| found == object || found == Object::AnyModule;
    policy.entries().iter().position(|entry| fits(entry.object))
}

fn module_hash(params: &Params, alg: HashAlg) -> Result<Digest> {
    let path = Path::new(&params.image);
    let bytes = file::read_at_most(path, MAX_MODULE_LEN as u64);
    let bytes = bytes?;
    let module = Module::new(params.image.clone(), params.cmdline.clone(), bytes);
    let hash = module.hash(alg)?;
    if params.verbose {
        let cmdline = alg.digest(&module.cmdline);
        let content = module.content_hash(alg)?;
        println!("hashing command line \"{}\"...", params.cmdline);
        println!("hash is...{}", show::bytes(&cmdline));
        println!("hashing image file {}...", params.image);
        println!("hash is...{}", show::bytes(&content));
        println!("cumulative hash is...{}", show::bytes(&hash));
    }
    Ok(hash)
}

fn del(params: &Params, compat: bool) -> Result<()> {
    let mut policy = existing(params)?;
    let object = params.object().context("--del needs --num")?;
    let position = match params.pos {
        None => 0,
        Some(pos) => {
            usize::try_from(pos).map_err(|_| anyhow!("--pos {pos}: expected 0 or more"))?
        }
    };
    if compat {
        let at = applies_to(&policy, object);
        let at = at.with_context(|| format!("the policy has no entry for {object}"))?;
        policy.remove_hash_at(at, position)?;
        return write(params, &policy);
    }
    let entry = policy.entries().iter().find(|entry| entry.object == object);
    let done = match (params.pos, entry.map(|entry| entry.hashes.len())) {
        // An entry without hashes goes as a whole; the original can't remove it at all.
        (None, Some(0)) => policy.remove(object).map(drop),
        _ => policy.remove_hash(object, position),
    };
    done?;
    write(params, &policy)
}

fn unwrap(params: &Params, compat: bool) -> Result<()> {
    if params.verbose {
        println!("reading existing elt file {}...", params.elt);
    }
    let bytes = file::read(Path::new(&params.elt))?;
    let policy = if compat {
        return unwrap_unchecked(params, &bytes);
    } else {
        Policy::from_element(&bytes).with_context(|| params.elt.clone())?
    };
    if params.verbose {
        println!("writing/overwriting policy file...");
        print!("{}", show::listing(&policy));
    }
    file::replace(Path::new(&params.policy), &policy.to_bytes())
}

/// The original's way: only elements of type 3, whosever they are and whatever they hold.
fn unwrap_unchecked(params: &Params, bytes: &[u8]) -> Result<()> {
    let element = Element::parse(bytes).with_context(|| params.elt.clone())?;
    let Body::LegacyCustom(custom) = &element.body else {
        bail!(
            "{}: the element is of type {}, expected 3",
            params.elt,
            element.body.number()
        );
    };
    let data = &custom.data;
    let (policy, len) = Policy::parse_prefix(data).with_context(|| params.elt.clone())?;
    if params.verbose {
        println!("writing/overwriting policy file...");
        print!("{}", show::listing(&policy));
    }
    let policy = data.get(..len).with_context(|| params.elt.clone())?;
    file::replace(Path::new(&params.policy), policy)
}

/// A note about a difference to the original.
fn note(text: &str) {
    outcome::note(NAME, text);
}
