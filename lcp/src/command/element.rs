//! `lcp element`: make and show the elements of a list.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow, bail};
use argh::FromArgs;
use commands::file;
use commands::{Wanted, refuse_idle};
use txt::{
    element::{
        Body, Custom, Element, HashList, LegacyMle, LegacyPconf, LegacySbios, Mle2, Pconf2,
        PcrInfoShort, Sbios, Uuid,
    },
    hash::{Digest, HashAlg},
    hash_text,
};

use super::{describe, number};

/// Make and show elements: what a policy list allows.
#[derive(FromArgs)]
#[argh(subcommand, name = "element")]
pub struct ElementCommand {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Create(Create),
    Show(Show),
}

/// Make an element.
///
/// Types: mle2 (hashes of tboot), pconf2 (PCR values), sbios, stm, custom; for TPM 1.2 mle, pconf,
/// sbios-legacy, custom-legacy.
#[derive(FromArgs)]
#[argh(subcommand, name = "create")]
struct Create {
    /// the type: mle2, pconf2, sbios, stm, custom, mle, pconf, sbios-legacy or custom-legacy
    #[argh(option, long = "type")]
    kind: String,
    /// file to write
    #[argh(option)]
    out: PathBuf,
    /// control bits (default 1: the platform supplier's elements of this type are ignored)
    #[argh(option, default = "1", from_str_fn(number::u32))]
    control: u32,
    /// hash algorithm (default sha256; TPM 1.2 types always have sha1)
    #[argh(option)]
    alg: Option<HashAlg>,
    /// lowest SINIT version, for mle2 and mle (default 0)
    #[argh(option, default = "0", from_str_fn(number::u8))]
    minver: u8,
    /// a hash in hexadecimal; may be repeated
    #[argh(option)]
    hash: Vec<String>,
    /// a text file of hashes, one on each line; may be repeated
    #[argh(option)]
    hashes: Vec<PathBuf>,
    /// the hash of the BIOS that recovers the platform, for sbios
    #[argh(option)]
    fallback: Option<String>,
    /// a PCR and its value as NUMBER=HEX, for pconf2 (0 to 23) and pconf (0 to 7); may be repeated
    #[argh(option)]
    pcr: Vec<String>,
    /// localities as a bit mask, for pconf (default 0x1f: all)
    #[argh(option, default = "0x1f", from_str_fn(number::u8))]
    locality: u8,
    /// UUID of custom data; tboot stands for that of tboot's verified launch policy
    #[argh(option)]
    uuid: Option<String>,
    /// file with the custom data
    #[argh(option)]
    data: Option<PathBuf>,
    /// accept hashes of all zeros and the same hash twice
    #[argh(switch)]
    force: bool,
}

/// Show an element.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the element's file
    #[argh(positional)]
    file: PathBuf,
}

impl ElementCommand {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create(create) => {
                let element = Element {
                    control: create.control,
                    body: create.body()?,
                };
                file::replace(&create.out, &element.to_bytes()?)?;
            }
            Command::Show(show) => {
                let bytes = file::read(&show.file)?;
                let element = Element::parse(&bytes);
                let element = file::parsed(&show.file, &bytes, Wanted::PolicyPart, element)?;
                describe::print(&describe::element(&element), show.json);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    /// Each type has some of the options; what another one has would be left out.
    fn only_its_own(&self) -> Result<()> {
        let (hashes, fallback) = (["--hash", "--hashes"].as_slice(), "--fallback");
        let own: &[&str] = match self.kind.as_str() {
            "mle2" | "mle" => &["--minver", "--hash", "--hashes", "--force"],
            "stm" => hashes,
            "sbios" | "sbios-legacy" => &["--hash", "--hashes", fallback],
            "pconf2" => &["--pcr"],
            "pconf" => &["--pcr", "--locality"],
            "custom" | "custom-legacy" => &["--uuid", "--data"],
            // Refused by its name.
            _ => return Ok(()),
        };
        let all = [
            ("--minver", self.minver != 0),
            ("--hash", !self.hash.is_empty()),
            ("--hashes", !self.hashes.is_empty()),
            ("--fallback", self.fallback.is_some()),
            ("--pcr", !self.pcr.is_empty()),
            ("--locality", self.locality != 0x1f),
            ("--uuid", self.uuid.is_some()),
            ("--data", self.data.is_some()),
        ];
        let idle: Vec<_> = all
            .into_iter()
            .filter(|(option, _)| !own.contains(option))
            .collect();
        Ok(refuse_idle(&idle, "for an element of this type")?)
    }

    fn body(&self) -> Result<Body> {
        self.only_its_own()?;
        Ok(match self.kind.as_str() {
            "mle2" => Body::Mle2(Mle2 {
                sinit_min_version: self.minver,
                hashes: self.hash_list(self.chosen())?,
            }),
            "stm" => Body::Stm(self.hash_list(self.chosen())?),
            "sbios" => {
                let alg = self.chosen();
                Body::Sbios(Sbios::new(self.fallback(alg)?, self.hash_list(alg)?)?)
            }
            "pconf2" => Body::Pconf2(Pconf2::from_values(self.chosen(), &self.pcrs(23)?)?),
            "custom" => Body::Custom(self.custom()?),
            "mle" => Body::LegacyMle(LegacyMle::new(self.minver, self.hash_list(self.sha1()?)?)?),
            "sbios-legacy" => {
                let alg = self.sha1()?;
                Body::LegacySbios(LegacySbios::new(self.fallback(alg)?, self.hash_list(alg)?)?)
            }
            "pconf" => {
                self.sha1()?;
                let (mut select, mut values) = (0u8, Vec::new());
                for (pcr, value) in self.pcrs(7)? {
                    select |= 1 << pcr;
                    values.push(value);
                }
                if !(1..=0x1f).contains(&self.locality) {
                    bail!("--locality {:#x}: expected 0x1 to 0x1f", self.locality);
                }
                let info = PcrInfoShort::from_values(vec![select], self.locality, &values)?;
                Body::LegacyPconf(LegacyPconf { infos: vec![info] })
            }
            "custom-legacy" => Body::LegacyCustom(self.custom()?),
            other => bail!("{other:?} is not a type of element: see lcp element create --help"),
        })
    }

    fn chosen(&self) -> HashAlg {
        self.alg.unwrap_or(if self.kind == "pconf" {
            HashAlg::Sha1
        } else {
            HashAlg::Sha256
        })
    }

    fn sha1(&self) -> Result<HashAlg> {
        match self.alg {
            None | Some(HashAlg::Sha1) => Ok(HashAlg::Sha1),
            Some(alg) => bail!(
                "type {} is TPM 1.2's and has sha1 only, not {alg}",
                self.kind
            ),
        }
    }

    fn hash_list(&self, alg: HashAlg) -> Result<HashList> {
        let mut hashes = Vec::new();
        for text in &self.hash {
            let parsed = hash_text::parse(text, alg).map_err(|error| anyhow!("--hash: {error}"))?;
            hashes.extend(parsed);
        }
        for path in &self.hashes {
            let parsed = hash_text::parse(&file::read_text(path, Wanted::Settings)?, alg);
            hashes.extend(parsed.map_err(|error| anyhow!("{}: {error}", path.display()))?);
        }
        if hashes.is_empty() {
            bail!("no hash: give --hash or --hashes");
        }
        self.plausible(&hashes)?;
        Ok(HashList::new(alg, hashes)?)
    }

    /// Zeros and repeated hashes are hardly meant so.
    fn plausible(&self, hashes: &[Digest]) -> Result<()> {
        for (index, hash) in hashes.iter().enumerate() {
            let wrong = if hash.is_zero() {
                "a hash of all zeros".to_owned()
            } else if hashes.iter().take(index).any(|other| other == hash) {
                format!("the hash {hash} is given twice")
            } else {
                continue;
            };
            if !self.force {
                bail!("{wrong}: --force takes it");
            }
        }
        Ok(())
    }

    fn fallback(&self, alg: HashAlg) -> Result<Digest> {
        let text = self
            .fallback
            .as_deref()
            .context("type sbios needs --fallback")?;
        let parsed = hash_text::parse(text, alg).map_err(|error| anyhow!("--fallback: {error}"))?;
        parsed
            .into_iter()
            .next()
            .context("--fallback holds no hash")
    }

    /// The PCRs and values, ascending.
    fn pcrs(&self, highest: u8) -> Result<Vec<(u8, Digest)>> {
        let alg = self.chosen();
        let mut values = Vec::new();
        for text in &self.pcr {
            let (pcr, value) = text
                .split_once('=')
                .with_context(|| format!("--pcr {text}: NUMBER=HEX"))?;
            let pcr = number::u8(pcr).map_err(|error| anyhow!("--pcr {text}: {error}"))?;
            if pcr > highest {
                bail!("--pcr {text}: type {} takes PCR 0 to {highest}", self.kind);
            }
            values.push((pcr, Digest::from_hex(alg, value).context("--pcr")?));
        }
        if values.is_empty() {
            bail!("no PCR: give --pcr NUMBER=HEX");
        }
        values.sort_by_key(|(pcr, _)| *pcr);
        if values
            .windows(2)
            .any(|pair| matches!(pair, [(a, _), (b, _)] if a == b))
        {
            bail!("a PCR is given twice");
        }
        Ok(values)
    }

    fn custom(&self) -> Result<Custom> {
        let uuid: Uuid = self
            .uuid
            .as_deref()
            .context("type custom needs --uuid")?
            .parse()?;
        let data = self.data.as_deref().context("type custom needs --data")?;
        Ok(Custom {
            uuid,
            data: file::read(data)?,
        })
    }
}
