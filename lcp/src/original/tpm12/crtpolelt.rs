//! lcp_crtpolelt of tboot 1.8.

use txt::{
    element::{Body, Custom, Element, HashList, LegacyMle, LegacyPconf, LegacySbios, PcrInfoShort},
    hash::{Digest, HashAlg},
};

use super::{pconf_file, show};
use crate::original::{
    Outcome,
    getopt::{self, Opt, Step, flag, with},
    hash_file, note, read, strtoul, uuid, write,
};

const OPTIONS: [Opt; 9] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("show", 'S'),
    with("type", 't'),
    with("out", 'o'),
    with("ctrl", 'c'),
    with("minver", 'm'),
    with("uuid", 'u'),
    flag("verbose", 'v'),
];

const HELP: &str = "\
Usage: lcp_crtpolelt COMMAND [OPTION]... [FILE]...
--create         make an element
    --type TYPE      mle, pconf, sbios or custom
    --out FILE       file to write
    --ctrl N         control bits (default 1)
    --minver N       lowest SINIT version, for mle
    --uuid UUID      for custom: tboot, or {0xN, 0xN, 0xN, 0xN, {0xN, 0xN, 0xN, 0xN, 0xN, 0xN}}
    FILE...          hashes (of sbios the first is the fallback), PCR values, or data
--show FILE...   show elements
--help           print this
--verbose        accepted, without effect
--compat         the original's bytes where it is wrong (see lcp-compat(7))
";

/// Most hashes that an element takes, besides the fallback.
const MAX_HASHES: usize = 32;

/// Runs the tool.
pub fn run(name: &str, words: &[String], compat: bool) -> Outcome {
    let (mut command, mut kind, mut out, mut uuid) = (None, None, None, None);
    let (mut control, mut minver) = (1, 0);
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S'), _) => {
                if command.replace(id).is_some() {
                    return Err("only one command can be specified".to_owned());
                }
            }
            Step::Option('t', value) => kind = Some(value),
            Step::Option('o', value) => out = Some(value),
            Step::Option('c', value) => control = strtoul::number("--ctrl", &value, 0, 32, compat)?,
            Step::Option('m', value) => {
                let number = strtoul::number("--minver", &value, 0, 8, compat)?;
                minver = number.to_le_bytes()[0];
            }
            Step::Option('u', value) => uuid = Some(value),
            Step::Option(..) => {}
            Step::Wrong(message) => return Err(format!("{name}: {message}")),
        }
    }
    match command {
        None => Err("no command was specified".to_owned()),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('S') => show_files(&operands),
        Some(_) => {
            let kind = kind.ok_or("no type was specified")?;
            let out = out.ok_or("no output file specified")?;
            if kind == "pconf" && !compat {
                note(
                    name,
                    "PCR values are hashed in the order of the PCRs, not of the file",
                );
            }
            let body = match kind.as_str() {
                "mle" => mle(minver, &operands, compat)?,
                "pconf" => pconf(&operands, compat)?,
                "sbios" => sbios(&operands, compat)?,
                "custom" => custom(uuid.as_deref(), &operands)?,
                other => return Err(format!("unknown type '{other}'")),
            };
            let element = Element { control, body };
            write(
                &out,
                &element.to_bytes().map_err(|error| error.to_string())?,
            )
        }
    }
}

fn show_files(files: &[String]) -> Outcome {
    if files.is_empty() {
        return Err("no files specified".to_owned());
    }
    for path in files {
        println!("policy element file: {path}");
        let element = Element::parse(&read(path)?).map_err(|error| format!("{path}: {error}"))?;
        print!("{}", show::element("    ", &element, false));
    }
    Ok(())
}

/// The hashes of all files.
fn hashes(files: &[String], most: usize, compat: bool) -> Result<Vec<Digest>, String> {
    let mut hashes = Vec::new();
    for path in files {
        let left = most.saturating_sub(hashes.len());
        hashes.extend(hash_file::parse(
            path,
            &read(path)?,
            HashAlg::Sha1,
            left,
            compat,
        )?);
    }
    if hashes.is_empty() {
        return Err("no hashes provided".to_owned());
    }
    Ok(hashes)
}

fn mle(minver: u8, files: &[String], compat: bool) -> Result<Body, String> {
    let hashes = HashList::new(HashAlg::Sha1, hashes(files, MAX_HASHES, compat)?);
    let mle = hashes.and_then(|hashes| LegacyMle::new(minver, hashes));
    Ok(Body::LegacyMle(mle.map_err(|error| error.to_string())?))
}

fn sbios(files: &[String], compat: bool) -> Result<Body, String> {
    let mut hashes = hashes(files, MAX_HASHES + 1, compat)?.into_iter();
    let fallback = hashes.next().ok_or("no hashes provided")?;
    let hashes = HashList::new(HashAlg::Sha1, hashes.collect());
    let sbios = hashes.and_then(|hashes| LegacySbios::new(fallback, hashes));
    Ok(Body::LegacySbios(sbios.map_err(|error| error.to_string())?))
}

fn pconf(files: &[String], compat: bool) -> Result<Body, String> {
    if files.is_empty() {
        return Err("no file with PCR values was specified".to_owned());
    }
    let info = |path: &String| -> Result<PcrInfoShort, String> {
        pconf_file::parse(path, &read(path)?, compat)
    };
    let infos = files.iter().map(info).collect::<Result<_, _>>()?;
    Ok(Body::LegacyPconf(LegacyPconf { infos }))
}

fn custom(uuid: Option<&str>, files: &[String]) -> Result<Body, String> {
    let text = uuid.ok_or("no uuid specified")?;
    let parsed = uuid::parse(text).ok_or_else(|| format!("no well-formed uuid: {text}"))?;
    let [path] = files else {
        return Err("one file with the data is needed".to_owned());
    };
    let data = read(path)?;
    Ok(Body::LegacyCustom(Custom { uuid: parsed, data }))
}
