//! lcp_crtpollist of tboot 1.8: lists of version 1.0, signed with RSA and SHA-1.

use anyhow::{Result, anyhow, bail};
use lcp::sign;
use original_options::{
    getopt::{self, Opt, Step, flag, with},
    strtoul,
};

use super::show;
use crate::original::{crtpollist::Request, list_file};

const OPTIONS: [Opt; 13] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("sign", 'S'),
    flag("addsig", 'A'),
    flag("show", 'W'),
    with("ver", 'V'),
    with("out", 'o'),
    with("pub", 'u'),
    with("priv", 'i'),
    with("rev", 'r'),
    flag("nosig", 'n'),
    with("sig", 's'),
    flag("verbose", 't'),
];

const HELP: &str = "\
Usage: lcp_crtpollist COMMAND [OPTION]... [FILE]...
--create         make a list of element files, the last one first
    --ver 0x100      version
    --out FILE       list to write
--sign           sign a list with RSA and SHA-1
    --pub FILE       public key, PEM
    --priv FILE      private key, PEM
    --rev N          revocation counter (default 0)
    --nosig          write what an offline key has to sign, for --addsig
    --out FILE       list to sign
--addsig         put a signature made elsewhere into a list
    --sig FILE       the signature as openssl dgst -sha1 -sign writes it
    --out FILE       list that --sign --nosig wrote
--show FILE      show a list
--help           print this
--verbose        accepted, without effect
";

/// Runs the tool.
pub fn run(name: &str, words: &[String]) -> Result<()> {
    let mut request = Request::for_tpm12();
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S' | 'A' | 'W'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option('V', value) => {
                if strtoul::number::<u16>("--ver", &value, 0, false)? != 0x100 {
                    bail!("unsupported version {value}: 0x100");
                }
            }
            Step::Option(id, value) => request.option(id, value)?,
            Step::Wrong(message) => bail!("{name}: {message}"),
        }
    }
    let out = || request.out();
    match command {
        None => Err(anyhow!("no command option was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('C') => request.create(out()?, &operands),
        Some('S') => request.sign(out()?),
        Some('A') => request.add_signature(out()?),
        Some(_) => match operands.as_slice() {
            [path] => show_file(path),
            _ => Err(anyhow!("no policy list file specified")),
        },
    }
}

fn show_file(path: &str) -> Result<()> {
    let list = list_file::read(path)?;
    println!("policy list file: {path}");
    print!("{}", show::list("", &list, false));
    match sign::verify(&list) {
        Ok(_) => {
            println!("signature verified");
            Ok(())
        }
        Err(sign::SignError::Unsigned) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
