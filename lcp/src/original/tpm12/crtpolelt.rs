//! lcp_crtpolelt of tboot 1.8.

use anyhow::{Context, Result, anyhow, bail};
use original_options::{
    file::{read, write},
    getopt::{self, Opt, Step, flag, with},
    hash_file,
    outcome::note,
    pconf_file_tpm12, strtoul,
};
use txt::{
    element::{Body, Custom, Element, HashList, LegacyMle, LegacyPconf, LegacySbios, PcrInfoShort},
    hash::{Digest, HashAlg},
};

use super::show;
use crate::original::uuid;

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
pub fn run(name: &str, words: &[String], compat: bool) -> Result<()> {
    let (mut command, mut kind, mut out, mut uuid) = (None, None, None, None);
    let (mut control, mut minver) = (1, 0);
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option('t', value) => kind = Some(value),
            Step::Option('o', value) => out = Some(value),
            Step::Option('c', value) => control = strtoul::number("--ctrl", &value, 0, compat)?,
            Step::Option('m', value) => {
                minver = strtoul::number("--minver", &value, 0, compat)?;
            }
            Step::Option('u', value) => uuid = Some(value),
            Step::Option(..) => {}
            Step::Wrong(message) => bail!("{name}: {message}"),
        }
    }
    match command {
        None => Err(anyhow!("no command was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('S') => show_files(&operands),
        Some(_) => {
            let kind = kind.context("no type was specified")?;
            let out = out.context("no output file specified")?;
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
                other => bail!("unknown type '{other}'"),
            };
            let element = Element { control, body };
            write(&out, &element.to_bytes()?)
        }
    }
}

fn show_files(files: &[String]) -> Result<()> {
    if files.is_empty() {
        bail!("no files specified");
    }
    for path in files {
        println!("policy element file: {path}");
        let element = Element::parse(&read(path)?).with_context(|| path.to_owned())?;
        print!("{}", show::element("    ", &element, false));
    }
    Ok(())
}

/// The hashes of all files.
fn hashes(files: &[String], most: usize, compat: bool) -> Result<Vec<Digest>> {
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
        bail!("no hashes provided");
    }
    Ok(hashes)
}

fn mle(minver: u8, files: &[String], compat: bool) -> Result<Body> {
    let hashes = HashList::new(HashAlg::Sha1, hashes(files, MAX_HASHES, compat)?);
    let mle = hashes.and_then(|hashes| LegacyMle::new(minver, hashes));
    Ok(Body::LegacyMle(mle?))
}

fn sbios(files: &[String], compat: bool) -> Result<Body> {
    let mut hashes = hashes(files, MAX_HASHES + 1, compat)?.into_iter();
    let fallback = hashes.next().context("no hashes provided")?;
    let hashes = HashList::new(HashAlg::Sha1, hashes.collect());
    let sbios = hashes.and_then(|hashes| LegacySbios::new(fallback, hashes));
    Ok(Body::LegacySbios(sbios?))
}

fn pconf(files: &[String], compat: bool) -> Result<Body> {
    if files.is_empty() {
        bail!("no file with PCR values was specified");
    }
    let info = |path: &String| -> Result<PcrInfoShort> {
        Ok(pconf_file_tpm12::parse(path, &read(path)?, compat)?)
    };
    let infos = files.iter().map(info).collect::<Result<_, _>>()?;
    Ok(Body::LegacyPconf(LegacyPconf { infos }))
}

fn custom(uuid: Option<&str>, files: &[String]) -> Result<Body> {
    let text = uuid.context("no uuid specified")?;
    let parsed = uuid::parse(text).with_context(|| format!("no well-formed uuid: {text}"))?;
    let [path] = files else {
        bail!("one file with the data is needed");
    };
    let data = read(path)?;
    Ok(Body::LegacyCustom(Custom { uuid: parsed, data }))
}
