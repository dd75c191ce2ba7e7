//! lcp2_crtpol: makes and shows policies.

use anyhow::{Context, Result, anyhow, bail};
use lcp::{
    list::{ListVersion, PolicyList},
    policy_data::{MAX_LISTS, PolicyData},
    sign,
};
use original_options::{
    file::{read, write},
    getopt::{self, Opt, Step, flag, with},
    strtoul,
};
use txt::{
    hash::{Digest, HashAlg},
    policy::{Policy, Policy12, Policy20, PolicyType, PolicyVersion20, SignMask},
};

use super::show_policy;

const OPTIONS: [Opt; 18] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("show", 'S'),
    flag("version", 'V'),
    with("alg", 'a'),
    with("type", 't'),
    with("minver", 'm'),
    with("max_sinit_min", 'n'),
    with("rev", 'r'),
    with("ctrl", 'c'),
    with("pol", 'p'),
    with("data", 'd'),
    flag("brief", 'b'),
    with("mask", 'k'),
    with("auxalg", 'x'),
    with("sign", 's'),
    with("polver", 'e'),
    flag("verbose", 'v'),
];

const HELP: &str = "\
Usage: lcp2_crtpol COMMAND [OPTION]... [FILE]...
--create         make a policy, and the data file of its lists
    --type any|list     what it asks for
    --pol FILE          policy to write
    --data FILE         data file to write, with type list
    --polver V          2.0 to 2.4 (TPM 1.2), 3.0 (default), 3.1, 3.2 (TPM 2.0)
    --alg ALG           sha1, sha256, sha384, sha512 or sm3; sha1 always for 2.x
    --sign ALG          signatures that lists may have, or a number; repeatable; needed for 3.x
    --mask ALG          hashes that elements may use, or a number; repeatable
    --auxalg ALG        hashes of the AUX index; not for 3.2
    --minver N          lowest SINIT version
    --max_sinit_min N   highest lowest SINIT version (default 255)
    --rev N,N...        up to 8 revocation counters
    --ctrl N            control bits
    FILE...             lists
--show [--brief] POLICY [DATA]
--help           print this
--version        print the version of the tool that is re-created here
--verbose        accepted, without effect
--compat         cut numbers silently, as the original does
";

/// What a command line has said so far.
pub struct Request {
    version: u16,
    alg: Option<HashAlg>,
    kind: Option<PolicyType>,
    minver: u8,
    max_minver: u8,
    counters: [u16; 8],
    control: u32,
    policy: Option<String>,
    data: Option<String>,
    brief: bool,
    mask: u16,
    aux: u16,
    sign: u32,
    compat: bool,
}

/// Runs the tool.
pub fn run(name: &str, words: &[String], compat: bool) -> Result<()> {
    let mut request = Request::new(compat);
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S' | 'V'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
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
        Some('V') => {
            print!("lcp2_crtpol version: 1.1");
            Ok(())
        }
        Some('S') => show_policy::show_files(&operands, request.brief),
        Some(_) => request.create(&operands),
    }
}

impl Request {
    fn new(compat: bool) -> Self {
        Self {
            version: 0x0300,
            alg: None,
            kind: None,
            minver: 0,
            max_minver: 0xff,
            counters: [0; 8],
            control: 0,
            policy: None,
            data: None,
            brief: false,
            mask: 0,
            aux: 0,
            sign: 0,
            compat,
        }
    }

    /// For policies of version 2.2, as tboot 1.8's tool makes them: bytes behind the control field
    /// were reserved then.
    pub fn for_tpm12(compat: bool) -> Self {
        Self {
            version: 0x0202,
            max_minver: 0,
            ..Self::new(compat)
        }
    }

    /// Sets a version of TPM 1.2.
    pub fn set_version12(&mut self, version: u16) -> Result<()> {
        if !(0x0200..=0x0204).contains(&version) {
            bail!("unsupported version {version:#x}: 0x200 to 0x204");
        }
        self.version = version;
        Ok(())
    }

    /// Was --brief given?
    pub const fn is_brief(&self) -> bool {
        self.brief
    }

    /// Takes an option.
    pub fn option(&mut self, id: char, value: &str) -> Result<()> {
        let compat = self.compat;
        let byte = |option: &str| strtoul::number::<u8>(option, value, 0, compat);
        let path = || Some(value.to_owned()).filter(|path| !path.is_empty());
        match id {
            // An unknown name is refused when the policy needs one.
            'a' => self.alg = value.parse().ok(),
            't' => {
                self.kind = Some(match value {
                    "any" => PolicyType::Any,
                    "list" => PolicyType::List,
                    _ => bail!("unsupported policy type: any or list"),
                });
            }
            'm' => self.minver = byte("--minver")?,
            'n' => self.max_minver = byte("--max_sinit_min")?,
            'r' => self.counters = self.revocation_counters(value)?,
            'c' => self.control = strtoul::number("--ctrl", value, 0, compat)?,
            'p' => self.policy = path(),
            'd' => self.data = path(),
            'b' => self.brief = true,
            'k' => {
                self.mask |= self.hash_mask("--mask", value)?;
                if self.mask == 0 {
                    bail!("LCP hash alg not supported");
                }
            }
            // Version 3.2 has no such field; the original ignores the option behind --polver 3.2.
            'x' if self.version == 0x0302 => {}
            'x' => {
                self.aux = self.hash_mask("--auxalg", value)?;
                if self.aux == 0 {
                    bail!("AUX hash alg not supported");
                }
            }
            's' if self.version < 0x0300 => {}
            's' => {
                self.sign |= match SignMask::named(value) {
                    Some(mask) => mask.0,
                    None => strtoul::number("--sign", value, 0, compat)?,
                };
                if self.sign == 0 {
                    bail!("signing alg not supported");
                }
            }
            'e' => self.version = version(value).context("invalid policy version")?,
            _ => {}
        }
        Ok(())
    }

    fn hash_mask(&self, option: &str, value: &str) -> Result<u16> {
        match value.parse::<HashAlg>() {
            Ok(alg) => Ok(alg.mask()),
            Err(_) => Ok(strtoul::number(option, value, 0, self.compat)?),
        }
    }

    fn revocation_counters(&self, value: &str) -> Result<[u16; 8]> {
        let mut counters = self.counters;
        let given: Vec<&str> = value.split(',').collect();
        if given.len() > counters.len() && !self.compat {
            bail!("--rev: {} counters, a policy has 8", given.len());
        }
        for (counter, text) in counters.iter_mut().zip(given) {
            *counter = strtoul::number("--rev", text, 0, self.compat)?;
        }
        Ok(counters)
    }

    /// Makes the policy and its data file.
    pub fn create(&self, files: &[String]) -> Result<()> {
        let tpm20 = self.version >= 0x0300;
        if tpm20 && self.alg.is_none() {
            bail!("alg not supported or not specified");
        }
        if tpm20 && self.sign == 0 {
            bail!("LCPv3 signing alg mask not supported or not specified");
        }
        let kind = self.kind.context("no type specified")?;
        let out = self.policy.as_deref().context("no policy file specified")?;
        let data = match kind {
            PolicyType::Any => None,
            PolicyType::List => {
                let path = self.data.as_deref();
                let path = path.context("list type but no policy data file specified")?;
                Some((path, self.lists(files)?))
            }
        };
        let alg = if tpm20 {
            self.alg.unwrap_or(HashAlg::Sha256)
        } else {
            HashAlg::Sha1
        };
        let hash = match &data {
            Some((_, data)) => data.hash(alg)?,
            None => Digest::zero(alg),
        };
        write(out, &self.policy_bytes(kind, hash)?)?;
        if let Some((path, data)) = &data {
            write(path, &data.to_bytes()?)?;
        }
        Ok(())
    }

    fn lists(&self, files: &[String]) -> Result<PolicyData> {
        if files.is_empty() {
            bail!("list type but no policy lists specified");
        }
        // The original drops the ninth list and those behind it silently.
        let files = if self.compat {
            files.get(..MAX_LISTS).unwrap_or(files)
        } else {
            files
        };
        let mut lists: Vec<PolicyList> = Vec::new();
        for path in files {
            let list = PolicyList::parse(&read(path)?).with_context(|| path.to_owned())?;
            if lists
                .first()
                .is_some_and(|first| first.version() != list.version())
            {
                bail!("mixing list versions is not supported");
            }
            match sign::verify(&list) {
                Err(sign::SignError::Unsigned) if list.version() == ListVersion::V3_0 => {
                    println!("Verify TPM2.0 Policy List 2.1 success");
                }
                Ok(_) if list.version() == ListVersion::V3_0 => {
                    println!("List signature verified positively.");
                }
                Ok(_) | Err(sign::SignError::Unsigned) => {}
                Err(error) => return Err(error).with_context(|| path.clone()),
            }
            lists.push(list);
        }
        Ok(PolicyData::new(lists)?)
    }

    fn policy_bytes(&self, kind: PolicyType, hash: Digest) -> Result<Vec<u8>> {
        let [minor, _] = self.version.to_le_bytes();
        let policy20 = PolicyVersion20::ALL
            .into_iter()
            .find(|v| v.number() == self.version);
        let Some(version) = policy20 else {
            let mut policy = Policy12::new(minor, kind, hash)?;
            policy.sinit_min_version = self.minver;
            policy.max_sinit_min_version = self.max_minver;
            policy.data_revocation_counters = self.counters;
            policy.control = self.control;
            return Ok(Policy::Tpm12(policy).to_bytes());
        };
        let mut policy = Policy20::new(version, kind, hash, SignMask(self.sign));
        policy.sinit_min_version = self.minver;
        policy.max_sinit_min_version = self.max_minver;
        policy.data_revocation_counters = self.counters;
        policy.control = self.control;
        if self.mask != 0 {
            policy.hash_mask = self.mask;
        }
        if self.aux != 0 {
            policy.aux_hash_mask = self.aux;
        }
        Ok(Policy::Tpm20(policy).to_bytes())
    }
}

fn version(text: &str) -> Option<u16> {
    const VERSIONS: [(&str, u16); 8] = [
        ("2.0", 0x0200),
        ("2.1", 0x0201),
        ("2.2", 0x0202),
        ("2.3", 0x0203),
        ("2.4", 0x0204),
        ("3.0", 0x0300),
        ("3.1", 0x0301),
        ("3.2", 0x0302),
    ];
    VERSIONS
        .into_iter()
        .find(|(name, _)| *name == text)
        .map(|(_, number)| number)
}
