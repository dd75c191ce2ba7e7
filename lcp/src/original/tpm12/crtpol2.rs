//! lcp_crtpol2 of tboot 1.8: policies of version 2.x.

use lcp::policy_data::PolicyData;
use txt::policy::{DATA_SIGNATURE, Policy};

use super::show;
use crate::original::{
    Outcome,
    crtpol::Request,
    getopt::{self, Opt, Step, flag, with},
    read, strtoul,
};

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
pub fn run(name: &str, words: &[String], compat: bool) -> Outcome {
    let mut request = Request::for_tpm12(compat);
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S'), _) => {
                if command.replace(id).is_some() {
                    return Err("only one command can be specified".to_owned());
                }
            }
            Step::Option('V', value) => {
                let number = strtoul::number("--ver", &value, 0, 16, false)?;
                let version = u16::try_from(number).unwrap_or(0);
                request.set_version12(version)?;
            }
            Step::Option(id, value) => request.option(id, &value)?,
            Step::Wrong(message) => return Err(format!("{name}: {message}")),
        }
    }
    match command {
        None => Err("no command option was specified".to_owned()),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('S') => show_files(&operands, request.is_brief()),
        Some(_) => request.create(&operands),
    }
}

fn show_files(files: &[String], brief: bool) -> Outcome {
    let mut policy: Option<Policy> = None;
    let mut data: Option<PolicyData> = None;
    if files.is_empty() || files.len() > 2 {
        return Err("a policy file is needed, and a data file at most".to_owned());
    }
    for path in files {
        let bytes = read(path)?;
        let wrong = |error| format!("{path}: {error}");
        if bytes.starts_with(&DATA_SIGNATURE) {
            if policy.is_some() {
                println!();
            }
            println!("policy data file: {path}");
            let parsed = PolicyData::parse(&bytes).map_err(wrong)?;
            print!("{}", show::data("    ", &parsed, brief));
            data = Some(parsed);
        } else {
            println!("policy file: {path}");
            let parsed = Policy::parse(&bytes).map_err(wrong)?;
            print!("{}", show::policy("    ", &parsed)?);
            policy = Some(parsed);
        }
    }
    let (Some(policy), Some(data)) = (policy, data) else {
        return Ok(());
    };
    let hash = data
        .hash(policy.policy_hash().alg())
        .map_err(|error| error.to_string())?;
    if &hash != policy.policy_hash() {
        return Err("policy data hash does not match policy hash".to_owned());
    }
    println!("\npolicy data hash matches policy hash");
    Ok(())
}
