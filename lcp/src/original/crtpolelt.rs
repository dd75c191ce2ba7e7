//! lcp2_crtpolelt: makes and shows elements.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use original_options::{
    file::{read, write},
    getopt::{self, Opt, Step, flag, with},
    hash_file,
    outcome::note,
    pconf_file, strtoul,
};
use txt::{
    element::{Body, Custom, Element, HashList, LegacyMle, LegacyPconf, Mle2, Pconf2, Sbios, Uuid},
    hash::{Digest, HashAlg},
};

use super::{show, uuid};

/// The tool's options, then those of each type in the original's order: an abbreviation is unique
/// or not over all of them.
const OPTIONS: [Opt; 22] = [
    flag("help", 'H'),
    flag("version", 'V'),
    flag("create", 'C'),
    flag("show", 'S'),
    with("type", 't'),
    with("out", 'o'),
    with("ctrl", 'c'),
    flag("verbose", 'v'),
    with("uuid", 'u'),
    with("minver", 'm'),
    with("alg", 'a'),
    with("alg", 'a'),
    with("alg", 'a'),
    with("pcr0", '0'),
    with("pcr1", '1'),
    with("pcr2", '2'),
    with("pcr3", '3'),
    with("pcr4", '4'),
    with("pcr5", '5'),
    with("pcr6", '6'),
    with("pcr7", '7'),
    with("alg", 'a'),
];

const HELP: &str = "\
Usage: lcp2_crtpolelt COMMAND [OPTION]... [FILE]...
--create         make an element
    --type TYPE      custom, mle, pconf, sbios, stm, pconf2 or mle2; before the type's options
    --out FILE       file to write
    --ctrl N         control bits (default 1)
--show FILE...   show elements
--help           print this
--version        print the version of the tool that is re-created here
--verbose        accepted, without effect
--compat         the original's bytes where it is wrong (see lcp-compat(7))
Options of the types:
  custom   --uuid {0xN, 0xN, 0xN, 0xN, {0xN, 0xN, 0xN, 0xN, 0xN, 0xN}} or tboot; FILE with the data
  mle      --minver N; FILEs with SHA-1 hashes
  mle2     --minver N, --alg sha1|sha256|sha384; FILEs with hashes
  sbios    --alg ALG; FILEs with hashes, the first of which is the fallback
  stm      --alg ALG; FILEs with hashes
  pconf    FILEs with a locality and PCR values
  pconf2   --alg sha1|sha256|sha384|sha512|sm3, then --pcr0 to --pcr7 HASH
";

/// Most hashes that the originals take.
const MAX_HASHES: usize = 32;

/// Types of elements by their names.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Custom,
    Mle,
    Pconf,
    Sbios,
    Stm,
    Pconf2,
    Mle2,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "custom" => Self::Custom,
            "mle" => Self::Mle,
            "pconf" => Self::Pconf,
            "sbios" => Self::Sbios,
            "stm" => Self::Stm,
            "pconf2" => Self::Pconf2,
            "mle2" => Self::Mle2,
            _ => return None,
        })
    }
}

/// What the command line has said so far.
struct Request {
    kind: Option<Kind>,
    out: Option<String>,
    control: u32,
    uuid: Option<Uuid>,
    minver: u8,
    alg: HashAlg,
    alg_given: bool,
    pcrs: [Option<Digest>; 8],
    hashes: Vec<Digest>,
    data: Option<Vec<u8>>,
    infos: Vec<txt::element::PcrInfoShort>,
    compat: bool,
}

/// Runs the tool.
pub fn run(name: &str, words: &[String], compat: bool) -> Result<()> {
    let mut request = Request {
        kind: None,
        out: None,
        control: 1,
        uuid: None,
        minver: 0,
        alg: HashAlg::Sha1,
        alg_given: false,
        pcrs: Default::default(),
        hashes: Vec::new(),
        data: None,
        infos: Vec::new(),
        compat,
    };
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'V' | 'C' | 'S'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option(id, value) => request.option(id, &value)?,
            Step::Wrong(message) => bail!("{name}: {message}"),
        }
    }
    match command {
        None => Err(anyhow!("no command was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('V') => {
            print!("lcp2_crtpolelt version: 1.1");
            Ok(())
        }
        Some('S') => show_files(&operands),
        Some(_) => {
            let kind = request.kind.context("no type was specified")?;
            let out = request.out.clone().context("no output file specified")?;
            for operand in &operands {
                request.file(kind, operand)?;
            }
            let element = Element {
                control: request.control,
                body: request.body(name, kind)?,
            };
            let bytes = element.to_bytes()?;
            write(&out, &bytes)
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

impl Request {
    fn option(&mut self, id: char, value: &str) -> Result<()> {
        match id {
            't' => {
                let kind = Kind::named(value).with_context(|| format!("unknown type '{value}'"))?;
                self.kind = Some(kind);
            }
            'o' => self.out = Some(value.to_owned()).filter(|path| !path.is_empty()),
            'c' => self.control = strtoul::number("--ctrl", value, 0, self.compat)?,
            'v' => {}
            _ => {
                let kind = self.kind.context("type must be the first option")?;
                return self.option_of(kind, id, value);
            }
        }
        Ok(())
    }

    /// An option that only some types have.
    fn option_of(&mut self, kind: Kind, id: char, value: &str) -> Result<()> {
        match (kind, id) {
            (Kind::Custom, 'u') => {
                let uuid =
                    uuid::parse(value).with_context(|| format!("no well-formed uuid: {value}"))?;
                self.uuid = Some(uuid);
            }
            (Kind::Mle | Kind::Mle2, 'm') => {
                self.minver = strtoul::number("--minver", value, 0, self.compat)?;
            }
            (Kind::Mle2 | Kind::Sbios | Kind::Stm | Kind::Pconf2, 'a') => {
                self.alg = value.parse()?;
                self.alg_given = true;
            }
            (Kind::Pconf2, '0'..='7') => {
                if !self.alg_given {
                    bail!("--alg must come before the PCR values");
                }
                let digest = pconf_file::hash(value, self.alg, self.compat)
                    .with_context(|| format!("--pcr{id}"))?;
                let index = id.to_digit(8).and_then(|n| usize::try_from(n).ok());
                if let Some(slot) = index.and_then(|index| self.pcrs.get_mut(index)) {
                    *slot = Some(digest);
                }
            }
            _ => bail!("this type has no such option"),
        }
        Ok(())
    }

    /// An operand: a file of hashes, PCR values or data.
    fn file(&mut self, kind: Kind, path: &str) -> Result<()> {
        match kind {
            Kind::Custom => self.data = Some(read(path)?),
            Kind::Pconf2 => bail!("type pconf2 takes no file"),
            Kind::Pconf => {
                self.infos
                    .push(pconf_file::parse(path, &read(path)?, self.compat)?);
            }
            Kind::Mle | Kind::Mle2 | Kind::Sbios | Kind::Stm => {
                let most = MAX_HASHES.saturating_add(usize::from(kind == Kind::Sbios));
                // An empty file of hashes is none to the originals, not an error.
                let text = commands::file::read(Path::new(path))?;
                let left = most.saturating_sub(self.hashes.len());
                let hashes = hash_file::parse(path, &text, self.alg, left, self.compat)?;
                self.hashes.extend(hashes);
                if kind == Kind::Sbios && self.hashes.is_empty() {
                    bail!("no hashes provided");
                }
            }
        }
        Ok(())
    }

    fn body(self, name: &str, kind: Kind) -> Result<Body> {
        Ok(match kind {
            Kind::Custom => Body::Custom(Custom {
                uuid: self.uuid.context("no uuid specified")?,
                // Without a file the element holds no data, as the original makes it.
                data: self.data.unwrap_or_default(),
            }),
            Kind::Mle => {
                let hashes = HashList::new(HashAlg::Sha1, self.hashes)?;
                Body::LegacyMle(LegacyMle::new(self.minver, hashes)?)
            }
            Kind::Mle2 => Body::Mle2(Mle2 {
                sinit_min_version: self.minver,
                hashes: HashList::new(self.alg, self.hashes)?,
            }),
            Kind::Stm => Body::Stm(HashList::new(self.alg, self.hashes)?),
            Kind::Sbios => {
                let mut hashes = self.hashes.into_iter();
                let fallback = hashes.next().context("no hashes provided")?;
                let hashes = HashList::new(self.alg, hashes.collect())?;
                Body::Sbios(Sbios::new(fallback, hashes)?)
            }
            Kind::Pconf if self.infos.is_empty() && !self.compat => {
                bail!("no file with PCR values: the element would match nothing");
            }
            Kind::Pconf => {
                if !self.compat {
                    note(
                        name,
                        "the composite has its length, unlike the original's (--compat)",
                    );
                }
                Body::LegacyPconf(LegacyPconf { infos: self.infos })
            }
            Kind::Pconf2 => {
                let values: Vec<(u8, Digest)> = (0..8)
                    .zip(self.pcrs)
                    .filter_map(|(pcr, v)| Some((pcr, v?)))
                    .collect();
                if values.is_empty() {
                    bail!("no PCRs specified for the pconf element");
                }
                if values.last().is_some_and(|(pcr, _)| *pcr == 7) {
                    note(name, "PCR 7 is in the digest, unlike in the original's");
                }
                Body::Pconf2(Pconf2::from_values(self.alg, &values)?)
            }
        })
    }
}
