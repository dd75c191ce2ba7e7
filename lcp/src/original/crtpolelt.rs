//! lcp2_crtpolelt: makes and shows elements.

use txt::{
    element::{Body, Custom, Element, HashList, LegacyMle, LegacyPconf, Mle2, Pconf2, Sbios, Uuid},
    hash::{Digest, HashAlg},
};

use super::{
    Outcome,
    getopt::{self, Opt, Step, flag, with},
    hash_file, note, pconf_file, read, show, strtoul, uuid, write,
};

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
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "custom" => Kind::Custom,
            "mle" => Kind::Mle,
            "pconf" => Kind::Pconf,
            "sbios" => Kind::Sbios,
            "stm" => Kind::Stm,
            "pconf2" => Kind::Pconf2,
            "mle2" => Kind::Mle2,
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
pub fn run(name: &str, words: &[String], compat: bool) -> Outcome {
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
                    return Err("only one command can be specified".to_owned());
                }
            }
            Step::Option(id, value) => request.option(id, &value)?,
            Step::Wrong(message) => return Err(format!("{name}: {message}")),
        }
    }
    match command {
        None => Err("no command was specified".to_owned()),
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
            let kind = request.kind.ok_or("no type was specified")?;
            let out = request.out.clone().ok_or("no output file specified")?;
            for operand in &operands {
                request.file(kind, operand)?;
            }
            let element = Element {
                control: request.control,
                body: request.body(name, kind)?,
            };
            let bytes = element.to_bytes().map_err(|error| error.to_string())?;
            write(&out, &bytes)
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

impl Request {
    fn option(&mut self, id: char, value: &str) -> Outcome {
        match id {
            't' => {
                let kind = Kind::named(value).ok_or_else(|| format!("unknown type '{value}'"))?;
                self.kind = Some(kind);
            }
            'o' => self.out = Some(value.to_owned()).filter(|path| !path.is_empty()),
            'c' => self.control = strtoul::number("--ctrl", value, 0, 32, self.compat)?,
            'v' => {}
            _ => {
                let kind = self.kind.ok_or("type must be the first option")?;
                return self.option_of(kind, id, value);
            }
        }
        Ok(())
    }

    /// An option that only some types have.
    fn option_of(&mut self, kind: Kind, id: char, value: &str) -> Outcome {
        match (kind, id) {
            (Kind::Custom, 'u') => {
                let uuid =
                    uuid::parse(value).ok_or_else(|| format!("no well-formed uuid: {value}"))?;
                self.uuid = Some(uuid);
            }
            (Kind::Mle | Kind::Mle2, 'm') => {
                let number = strtoul::number("--minver", value, 0, 8, self.compat)?;
                self.minver = number.to_le_bytes()[0];
            }
            (Kind::Mle2 | Kind::Sbios | Kind::Stm | Kind::Pconf2, 'a') => {
                self.alg = value.parse().map_err(|error| format!("{error}"))?;
                self.alg_given = true;
            }
            (Kind::Pconf2, '0'..='7') => {
                if !self.alg_given {
                    return Err("--alg must come before the PCR values".to_owned());
                }
                let digest = pconf_file::hash(value, self.alg, self.compat)
                    .map_err(|error| format!("--pcr{id}: {error}"))?;
                let index = id.to_digit(8).and_then(|n| usize::try_from(n).ok());
                if let Some(slot) = index.and_then(|index| self.pcrs.get_mut(index)) {
                    *slot = Some(digest);
                }
            }
            _ => return Err("this type has no such option".to_owned()),
        }
        Ok(())
    }

    /// An operand: a file of hashes, PCR values or data.
    fn file(&mut self, kind: Kind, path: &str) -> Outcome {
        match kind {
            Kind::Custom => self.data = Some(read(path)?),
            Kind::Pconf2 => return Err("type pconf2 takes no file".to_owned()),
            Kind::Pconf => {
                self.infos
                    .push(pconf_file::parse(path, &read(path)?, self.compat)?);
            }
            Kind::Mle | Kind::Mle2 | Kind::Sbios | Kind::Stm => {
                let most = MAX_HASHES.saturating_add(usize::from(kind == Kind::Sbios));
                // An empty file of hashes is none to the originals, not an error.
                let text = crate::command::file::read(std::path::Path::new(path))
                    .map_err(|error| commands::sentence(error.chain()))?;
                let left = most.saturating_sub(self.hashes.len());
                let hashes = hash_file::parse(path, &text, self.alg, left, self.compat)?;
                self.hashes.extend(hashes);
                if kind == Kind::Sbios && self.hashes.is_empty() {
                    return Err("no hashes provided".to_owned());
                }
            }
        }
        Ok(())
    }

    fn body(self, name: &str, kind: Kind) -> Result<Body, String> {
        let text = |error: txt::codec::FormatError| error.to_string();
        Ok(match kind {
            Kind::Custom => Body::Custom(Custom {
                uuid: self.uuid.ok_or("no uuid specified")?,
                data: self.data.unwrap_or_default(),
            }),
            Kind::Mle => {
                let hashes = HashList::new(HashAlg::Sha1, self.hashes).map_err(text)?;
                Body::LegacyMle(LegacyMle::new(self.minver, hashes).map_err(text)?)
            }
            Kind::Mle2 => Body::Mle2(Mle2 {
                sinit_min_version: self.minver,
                hashes: HashList::new(self.alg, self.hashes).map_err(text)?,
            }),
            Kind::Stm => Body::Stm(HashList::new(self.alg, self.hashes).map_err(text)?),
            Kind::Sbios => {
                let mut hashes = self.hashes.into_iter();
                let fallback = hashes.next().ok_or("no hashes provided")?;
                let hashes = HashList::new(self.alg, hashes.collect()).map_err(text)?;
                Body::Sbios(Sbios::new(fallback, hashes).map_err(text)?)
            }
            Kind::Pconf if self.infos.is_empty() && !self.compat => {
                return Err("no file with PCR values: the element would match nothing".to_owned());
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
                    return Err("no PCRs specified for the pconf element".to_owned());
                }
                if values.last().is_some_and(|(pcr, _)| *pcr == 7) {
                    note(name, "PCR 7 is in the digest, unlike in the original's");
                }
                Body::Pconf2(Pconf2::from_values(self.alg, &values).map_err(text)?)
            }
        })
    }
}
