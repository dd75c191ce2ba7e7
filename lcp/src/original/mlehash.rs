//! lcp2_mlehash.

use anyhow::{Context, Result, anyhow, bail};
use original_options::getopt::{self, Opt, Step, flag, with};
use txt::{hash::HashAlg, mlehash::Mle};

const OPTIONS: [Opt; 6] = [
    flag("help", 'H'),
    flag("create", 'C'),
    with("cmdline", 'c'),
    with("alg", 'a'),
    flag("verbose", 'v'),
    flag("version", 'V'),
];

const HELP: &str = "\
Usage: lcp2_mlehash COMMAND [OPTION]... [FILE]
--create         print the hash of tboot.gz or tboot
    --cmdline TEXT   tboot's command line
    --alg ALG        sha1, sha256 (default), sha384, sha512 or sm3
--help           print this
--version        print the version of the tool that is re-created here
--verbose        accepted, without effect
--compat         hash an overlong command line as the original does
";

/// Runs the tool.
pub fn run(name: &str, words: &[String], compat: bool) -> Result<()> {
    let (mut command, mut cmdline) = (None, None);
    let mut alg = "sha256".to_owned();
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'V'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option('c', value) => cmdline = Some(value),
            Step::Option('a', value) => alg = value,
            Step::Option(..) => {}
            // The original says so on standard output and goes on.
            Step::Wrong(message) => {
                eprintln!("{name}: {message}");
                println!("Unknown command line option");
            }
        }
    }
    match command {
        None => Err(anyhow!("no command was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('V') => {
            print!("lcp2_mlehash version: 1.1");
            Ok(())
        }
        Some(_) => {
            let path = operands.first().context("no input file specified")?;
            let mle = read(path)?;
            let alg: HashAlg = match alg.parse() {
                Ok(alg) => alg,
                // The original prints nothing and exits 0.
                Err(_) if compat => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let hash = hash(path, &mle, alg, cmdline.as_deref(), compat)?;
            let bytes: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}", bytes.join(" "));
            Ok(())
        }
    }
}

fn read(path: &str) -> Result<Mle> {
    let limit = txt::mlehash::MAX_IMAGE_LEN as u64;
    let file = commands::file::read_at_most(std::path::Path::new(path), limit)?;
    Mle::parse(&file).with_context(|| path.to_owned())
}

fn hash(
    path: &str,
    mle: &Mle,
    alg: HashAlg,
    cmdline: Option<&str>,
    compat: bool,
) -> Result<Vec<u8>> {
    let hash = match cmdline {
        None => mle.hash_unmodified(alg),
        Some(cmdline) if compat => mle.hash_as_original(alg, cmdline.as_bytes()),
        Some(cmdline) => mle.hash(alg, cmdline.as_bytes()),
    };
    Ok(hash.with_context(|| path.to_owned())?.as_bytes().to_vec())
}
