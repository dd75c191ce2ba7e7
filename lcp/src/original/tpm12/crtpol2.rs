//! lcp_crtpol2 of tboot 1.8: policies of version 2.x.

use anyhow::{Context, Result, anyhow, bail};
use lcp::policy_data::PolicyData;
use original_options::{
    file::read,
    getopt::{self, Opt, Step, flag, with},
    strtoul,
};
use txt::policy::{DATA_SIGNATURE, Policy};

use super::show;
use crate::original::crtpol::Request;

const OPTIONS: [Opt; 12] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("show", 'S'),
    with("ver", 'V'),
    with("type", 't'),
    with("minver", 'm'),
    with("rev", 'r'),
    with("ctrl", 'c'),
    with("pol", 'p'),
    with("data", 'd'),
    flag("brief", 'b'),
    flag("verbose", 'v'),
];

const HELP: &str = "\
Usage: lcp_crtpol2 COMMAND [OPTION]... [FILE]...
--create         make a policy, and the data file of its lists
    --type any|list  what it asks for
    --pol FILE       policy to write
    --data FILE      data file to write, with type list
    --ver N          0x200 to 0x204 (default 0x202)
    --minver N       lowest SINIT version
    --rev N,N...     up to 8 revocation counters
    --ctrl N         control bits
    FILE...          lists
--show [--brief] POLICY [DATA]
--help           print this
--verbose        accepted, without effect
--compat         cut numbers silently, as the original does
";

/// Runs the tool.
pub fn run(name: &str, words: &[String], compat: bool) -> Result<()> {
    let mut request = Request::for_tpm12(compat);
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option('V', value) => {
                request.set_version12(strtoul::number("--ver", &value, 0, false)?)?;
            }
            Step::Option(id, value) => request.option(id, &value)?,
            Step::Wrong(message) => bail!("{name}: {message}"),
        }
    }
    match command {
        None => Err(anyhow!("no command option was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('S') => show_files(&operands, request.is_brief()),
        Some(_) => request.create(&operands),
    }
}

fn show_files(files: &[String], brief: bool) -> Result<()> {
    let mut policy: Option<Policy> = None;
    let mut data: Option<PolicyData> = None;
    if files.is_empty() || files.len() > 2 {
        bail!("a policy file is needed, and a data file at most");
    }
    for path in files {
        let bytes = read(path)?;
        if bytes.starts_with(&DATA_SIGNATURE) {
            if policy.is_some() {
                println!();
            }
            println!("policy data file: {path}");
            let parsed = PolicyData::parse(&bytes).with_context(|| path.clone())?;
            print!("{}", show::data("    ", &parsed, brief));
            data = Some(parsed);
        } else {
            println!("policy file: {path}");
            let parsed = Policy::parse(&bytes).with_context(|| path.clone())?;
            print!("{}", show::policy("    ", &parsed)?);
            policy = Some(parsed);
        }
    }
    let (Some(policy), Some(data)) = (policy, data) else {
        return Ok(());
    };
    let hash = data.hash(policy.policy_hash().alg())?;
    if &hash != policy.policy_hash() {
        bail!("policy data hash does not match policy hash");
    }
    println!("\npolicy data hash matches policy hash");
    Ok(())
}
