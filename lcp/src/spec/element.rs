//! Elements out of a spec.

use txt::{
    element::{
        Body, Custom, Element, HashList, LegacyMle, LegacyPconf, LegacySbios, Mle2, Pconf2,
        PcrInfoShort, Sbios, Uuid,
    },
    hash::{Digest, HashAlg},
    hash_text,
    mlehash::Mle,
};

use super::{ElementSpec, Place, ReadFile, SpecError, TbootSpec, required, required_text};

/// The fields that a type takes besides `type` and `control`.
fn fields_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "mle2" => &["hash", "min_version", "hashes", "hash_files", "tboot"],
        "mle" => &["min_version", "hashes", "hash_files", "tboot"],
        "stm" => &["hash", "hashes", "hash_files"],
        "sbios" => &["hash", "hashes", "hash_files", "fallback"],
        "sbios-legacy" => &["hashes", "hash_files", "fallback"],
        "pconf2" => &["hash", "pcrs"],
        "pconf" => &["pcrs", "locality"],
        "custom" | "custom-legacy" => &["uuid", "data"],
        _ => return None,
    })
}

/// Makes an element.
pub(super) fn make(
    spec: &ElementSpec,
    place: &str,
    read: &ReadFile<'_>,
) -> Result<Element, SpecError> {
    let Some(fields) = fields_of(&spec.kind) else {
        let text = format!(
            "{:?} is not a type of element: mle2, pconf2, sbios, stm, custom; for TPM 1.2 mle, pconf, sbios-legacy, custom-legacy",
            spec.kind
        );
        return Err(SpecError::at(place, text));
    };
    if let Some(field) = given(spec)
        .into_iter()
        .find(|field| !fields.contains(field))
    {
        let text = format!(
            "type {} takes no {field}, but {}",
            spec.kind,
            fields.join(", ")
        );
        return Err(SpecError::at(place, text));
    }
    let maker = Maker { spec, place, read };
    Ok(Element {
        control: spec.control.unwrap_or(1),
        body: maker.body()?,
    })
}

/// The fields that are there.
fn given(spec: &ElementSpec) -> Vec<&'static str> {
    let all = [
        ("hash", spec.hash.is_some()),
        ("min_version", spec.min_version.is_some()),
        ("hashes", !spec.hashes.is_empty()),
        ("hash_files", !spec.hash_files.is_empty()),
        ("tboot", !spec.tboot.is_empty()),
        ("fallback", spec.fallback.is_some()),
        ("pcrs", !spec.pcrs.is_empty()),
        ("locality", spec.locality.is_some()),
        ("uuid", spec.uuid.is_some()),
        ("data", spec.data.is_some()),
    ];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(name, _)| name).collect()
}

/// The hash of a tboot with its command line.
pub(super) fn mle_hash(
    tboot: &TbootSpec,
    alg: HashAlg,
    place: &str,
    read: &ReadFile<'_>,
) -> Result<Digest, SpecError> {
    let file = required(read, place, &tboot.file)?;
    let wrong =
        |error: txt::mlehash::MleError| SpecError::at(place, format!("{}: {error}", tboot.file));
    let mle = Mle::parse(&file).map_err(wrong)?;
    mle.hash(alg, tboot.cmdline.as_bytes()).map_err(wrong)
}

struct Maker<'a> {
    spec: &'a ElementSpec,
    place: &'a str,
    read: &'a ReadFile<'a>,
}

impl Maker<'_> {
    fn body(&self) -> Result<Body, SpecError> {
        let minimum = self.spec.min_version.unwrap_or(0);
        Ok(match self.spec.kind.as_str() {
            "mle2" => Body::Mle2(Mle2 {
                sinit_min_version: minimum,
                hashes: self.hashes(self.alg()?)?,
            }),
            "mle" => {
                let hashes = self.hashes(HashAlg::Sha1)?;
                Body::LegacyMle(LegacyMle::new(minimum, hashes).at(self.place)?)
            }
            "stm" => Body::Stm(self.hashes(self.alg()?)?),
            "sbios" => {
                let alg = self.alg()?;
                let sbios = Sbios::new(self.fallback(alg)?, self.hashes(alg)?);
                Body::Sbios(sbios.at(self.place)?)
            }
            "sbios-legacy" => {
                let alg = HashAlg::Sha1;
                let sbios = LegacySbios::new(self.fallback(alg)?, self.hashes(alg)?);
                Body::LegacySbios(sbios.at(self.place)?)
            }
            "pconf2" => {
                let alg = self.alg()?;
                let values = self.pcrs(alg, 23)?;
                Body::Pconf2(Pconf2::from_values(alg, &values).at(self.place)?)
            }
            "pconf" => Body::LegacyPconf(self.legacy_pconf()?),
            "custom" => Body::Custom(self.custom()?),
            _ => Body::LegacyCustom(self.custom()?),
        })
    }

    fn wrong(&self, text: impl Into<super::Cause>) -> SpecError {
        SpecError::at(self.place, text)
    }

    fn alg(&self) -> Result<HashAlg, SpecError> {
        let name = self.spec.hash.as_deref().unwrap_or("sha256");
        name.parse().map_err(|error| self.wrong(error))
    }

    /// The hashes as given, of files, and of tboots, in this order.
    fn hashes(&self, alg: HashAlg) -> Result<HashList, SpecError> {
        let mut hashes = Vec::new();
        for text in &self.spec.hashes {
            let parsed = hash_text::parse(text, alg);
            hashes.extend(parsed.map_err(|error| self.wrong(format!("hashes: {error}")))?);
        }
        for path in &self.spec.hash_files {
            let text = required_text(self.read, self.place, path)?;
            let parsed = hash_text::parse(&text, alg);
            hashes.extend(parsed.map_err(|error| self.wrong(format!("{path}: {error}")))?);
        }
        for tboot in &self.spec.tboot {
            hashes.push(mle_hash(tboot, alg, self.place, self.read)?);
        }
        if hashes.is_empty() {
            return Err(self.wrong("no hash: give hashes, hash_files or (for mle2 and mle) tboot"));
        }
        HashList::new(alg, hashes).at(self.place)
    }

    fn fallback(&self, alg: HashAlg) -> Result<Digest, SpecError> {
        let text = self.spec.fallback.as_deref();
        let text = text.ok_or_else(|| self.wrong("fallback is missing"))?;
        let parsed = hash_text::parse(text, alg);
        let parsed = parsed.map_err(|error| self.wrong(format!("fallback: {error}")))?;
        match parsed.as_slice() {
            [hash] => Ok(hash.clone()),
            _ => Err(self.wrong("fallback must be one hash")),
        }
    }

    /// PCRs and values, ascending.
    fn pcrs(&self, alg: HashAlg, highest: u8) -> Result<Vec<(u8, Digest)>, SpecError> {
        let mut values = Vec::new();
        for (pcr, value) in &self.spec.pcrs {
            let number = pcr.parse::<u8>().ok().filter(|number| *number <= highest);
            // Only one way to write a number, or a PCR could be given twice.
            let number = number.filter(|number| number.to_string() == *pcr);
            let number =
                number.ok_or_else(|| self.wrong(format!("pcrs: {pcr} is not 0 to {highest}")))?;
            let value = Digest::from_hex(alg, value);
            let value = value.map_err(|error| self.wrong(format!("pcrs {pcr}: {error}")))?;
            values.push((number, value));
        }
        if values.is_empty() {
            return Err(self.wrong("no pcrs: give { \"0\" = \"...\" }"));
        }
        values.sort_by_key(|(pcr, _)| *pcr);
        Ok(values)
    }

    fn legacy_pconf(&self) -> Result<LegacyPconf, SpecError> {
        let locality = self.spec.locality.unwrap_or(0x1f);
        if !(1..=0x1f).contains(&locality) {
            return Err(self.wrong(format!("locality {locality:#x} is not 0x1 to 0x1f")));
        }
        let (mut select, mut values) = (0u8, Vec::new());
        for (pcr, value) in self.pcrs(HashAlg::Sha1, 7)? {
            select |= 1 << pcr;
            values.push(value);
        }
        let info = PcrInfoShort::from_values(vec![select], locality, &values).at(self.place)?;
        Ok(LegacyPconf { infos: vec![info] })
    }

    fn custom(&self) -> Result<Custom, SpecError> {
        let (uuid, data) = (self.spec.uuid.as_deref(), self.spec.data.as_deref());
        let uuid = uuid.ok_or_else(|| self.wrong("uuid is missing"))?;
        let data = data.ok_or_else(|| self.wrong("data is missing"))?;
        Ok(Custom {
            uuid: uuid.parse::<Uuid>().at(self.place)?,
            data: required(self.read, self.place, data)?,
        })
    }
}
