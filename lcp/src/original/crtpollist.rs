//! lcp2_crtpollist: makes, signs, shows and verifies lists.

use anyhow::{Context, Result, anyhow, bail};
use lcp::{
    list::{ListVersion, PolicyList, SignatureValue},
    sign::{self, PrivateKey, PublicKey, Scheme, SigningPlan},
};
use original_options::{
    file::{read, write},
    getopt::{self, Opt, Step, flag, with},
    strtoul,
};
use txt::{element::Element, hash::HashAlg};
use zeroize::Zeroizing;

use super::{list_file, verify_list};

const OPTIONS: [Opt; 17] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("sign", 'S'),
    flag("addsig", 'A'),
    flag("show", 'W'),
    flag("verify", 'V'),
    flag("version", 'v'),
    with("out", 'o'),
    with("sigalg", 'a'),
    with("hashalg", 'h'),
    with("pub", 'u'),
    with("priv", 'i'),
    with("rev", 'r'),
    flag("nosig", 'n'),
    with("sig", 's'),
    with("listver", 'l'),
    flag("verbose", 't'),
];

const HELP: &str = "\
Usage: lcp2_crtpollist COMMAND [OPTION]... [FILE]...
--create         make a list of element files, the last one first
    --out FILE       list to write
    --listver N      0x100, 0x200, 0x201 or 0x300
--sign           sign a list
    --sigalg ALG     rsa (lists up to 0x201), rsa-pkcs15 (0x100), rsapss (0x300), ecdsa or sm2
    --hashalg ALG    hash for rsa and rsapss (default sha256)
    --pub FILE       public key, PEM
    --priv FILE      private key, PEM
    --rev N          revocation counter (default 0)
    --nosig          write what an offline key has to sign, for --addsig
    --out FILE       list to sign
--addsig         put a signature made elsewhere into a list up to 0x201
    --sig FILE       the signature as openssl dgst -sign writes it
    --out FILE       list that --sign --nosig wrote
--show FILE      show a list
--verify FILE    verify a list's signature: exit 1 when it doesn't
--help           print this
--version        print the version of the tool that is re-created here
--verbose        accepted, without effect
";

/// Most element files that the original takes.
const MAX_FILES: usize = 32;

/// What a command line has said so far.
#[derive(Default)]
pub struct Request {
    version: u16,
    out: Option<String>,
    sigalg: String,
    hashalg: Option<HashAlg>,
    public: Option<String>,
    private: Option<String>,
    counter: u16,
    nosig: bool,
    signature: Option<String>,
    /// The tools for TPM 1.2 don't announce what they have done.
    quiet: bool,
}

/// Runs the tool.
pub fn run(name: &str, words: &[String]) -> Result<()> {
    let mut request = Request::default();
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S' | 'A' | 'W' | 'V' | 'v'), _) => {
                if command.replace(id).is_some() {
                    bail!("only one command can be specified");
                }
            }
            Step::Option(id, value) => request.option(id, value)?,
            Step::Wrong(message) => bail!("{name}: {message}"),
        }
    }
    let out = || request.out();
    let one = || match operands.as_slice() {
        [path] => Ok(path),
        _ => Err(anyhow!("no policy list file specified")),
    };
    match command {
        None => Err(anyhow!("no command option was specified")),
        Some('H') => {
            print!("{HELP}");
            Ok(())
        }
        Some('v') => {
            print!("lcp2_crtpollist version: 1.1");
            Ok(())
        }
        Some('C') => request.create(out()?, &operands),
        Some('S') => request.sign(out()?),
        Some('A') => request.add_signature(out()?),
        Some('W') => verify_list::show_file(one()?),
        Some(_) => verify_list::verify(operands.first().context("no policy list file specified")?),
    }
}

impl Request {
    /// For lists of version 1.0: RSA with SHA-1, the only kind there is.
    pub fn for_tpm12() -> Self {
        Self {
            version: ListVersion::V1_0.number(),
            sigalg: "rsa".to_owned(),
            quiet: true,
            ..Self::default()
        }
    }

    /// The list's file.
    pub fn out(&self) -> Result<&str> {
        self.out
            .as_deref()
            .context("no policy list output file specified")
    }

    /// Takes an option.
    pub fn option(&mut self, id: char, value: String) -> Result<()> {
        let path = |value: String| Some(value).filter(|path| !path.is_empty());
        match id {
            'o' => self.out = path(value),
            'a' => self.sigalg = value,
            'h' => {
                let alg = value.parse();
                self.hashalg = Some(alg.map_err(|_| anyhow!("incorrect hash alg {value}"))?);
            }
            'u' => self.public = path(value),
            'i' => self.private = path(value),
            'r' => {
                self.counter = strtoul::number("--rev", &value, 0, false)?;
            }
            'n' => self.nosig = true,
            's' => self.signature = path(value),
            'l' => {
                // Whatever is no number is refused below: there is no version 0.
                self.version = strtoul::number("--listver", &value, 16, true)?;
                if self.version == 0 {
                    bail!(UNKNOWN_VERSION);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes a list of element files.
    pub fn create(&self, out: &str, files: &[String]) -> Result<()> {
        if self.version == 0 {
            bail!("the list version is not specified: --listver");
        }
        let version = ListVersion::from_number(self.version).context(UNKNOWN_VERSION)?;
        if files.len() > MAX_FILES {
            let given = files.len();
            bail!("{given} element files: a list takes {MAX_FILES}");
        }
        let mut elements = Vec::new();
        for path in files {
            let element = Element::parse(&read(path)?);
            elements.push(element.with_context(|| path.to_owned())?);
        }
        // Each element goes to the front of the original's list.
        elements.reverse();
        let list = PolicyList::new(version, elements);
        let bytes = list.to_bytes()?;
        write(out, &bytes)
    }

    /// Signs a list.
    pub fn sign(&self, out: &str) -> Result<()> {
        let pss = matches!(self.sigalg.as_str(), "rsa-pss" | "rsapss");
        let scheme = match self.sigalg.as_str() {
            "rsa" | "rsa-ssa" | "rsassa" | "rsa-pkcs15" => Scheme::Rsa,
            _ if pss => Scheme::RsaPss,
            "ecdsa" => Scheme::Ecdsa,
            "sm2" => Scheme::Sm2,
            "" => bail!("signature algorithm must be specified: --sigalg"),
            other => bail!("signature algorithm {other} is unknown"),
        };
        let public = self
            .public
            .as_deref()
            .context("no public key file specified")?;
        match (self.nosig, &self.private) {
            (true, Some(_)) => {
                bail!("private key file specified with --nosig option");
            }
            (false, None) => bail!("no private key file specified"),
            _ => {}
        }
        let list = list_file::read(out)?;
        if self.sigalg == "rsa-pkcs15" && list.version() != ListVersion::V1_0 {
            println!("Failed to sign and write LCP list.");
            bail!("rsa-pkcs15 is for lists of version 0x100: use rsa");
        }
        // Lists of version 1.0 have RSA with SHA-1, whatever is asked for, and elliptic curves their
        // own hash.
        let old = list.version() == ListVersion::V1_0;
        let scheme = if old { Scheme::Rsa } else { scheme };
        let fixed = old || matches!(scheme, Scheme::Ecdsa | Scheme::Sm2);
        let hash = self.hashalg.filter(|_| !fixed);
        let plan = SigningPlan {
            scheme,
            hash,
            revocation_counter: self.counter,
        };
        let announce = list.version() == ListVersion::V3_0;
        let signed = self.signed_bytes(list, public, &plan);
        if announce {
            println!("Verify TPM2.0 Policy List 2.1 success");
        }
        match signed.and_then(|bytes| write(out, &bytes)) {
            Ok(()) => {
                if !self.quiet {
                    println!("List signed successfully and written to {out}");
                }
                Ok(())
            }
            Err(sentence) => {
                if !self.quiet {
                    println!("Failed to sign and write LCP list.");
                }
                Err(sentence)
            }
        }
    }

    /// The signed list, or with --nosig what an offline key has to sign.
    fn signed_bytes(&self, list: PolicyList, public: &str, plan: &SigningPlan) -> Result<Vec<u8>> {
        let public = public_key(public)?;
        let Some(private) = &self.private else {
            let message = sign::to_sign(list, &public, plan)?;
            return Ok(message.bytes);
        };
        let pem = Zeroizing::new(text(private)?);
        let key = PrivateKey::from_pem(&pem).with_context(|| private.to_owned())?;
        if key.public() != public {
            return Err(sign::SignError::Pair.into());
        }
        let signed = sign::sign(list, &key, plan)?;
        Ok(signed.to_bytes()?)
    }

    /// Completes what --sign --nosig wrote.
    pub fn add_signature(&self, out: &str) -> Result<()> {
        let path = self
            .signature
            .as_deref()
            .context("no signature file specified")?;
        let bytes = read(out)?;
        let value = read(path)?;
        // The file ends where the signature belongs; one of zeros makes it a list.
        let padded = [bytes.as_slice(), &vec![0; value.len()]].concat();
        let list = PolicyList::parse(&padded).map_err(|_| {
            anyhow!(
                "{out} is no list without signature for one of {} bytes",
                value.len()
            )
        })?;
        let Some(signature) = list.signature() else {
            bail!("{out} is no list that --sign --nosig wrote");
        };
        let SignatureValue::Rsa { modulus, .. } = signature.value() else {
            bail!("only RSA signatures can be added: use lcp list attach");
        };
        let key = PublicKey::Rsa {
            modulus: modulus.clone(),
        };
        let counter = signature.revocation_counter;
        let version = list.version();
        let hashes: &[HashAlg] = if version == ListVersion::V1_0 {
            &[HashAlg::Sha1]
        } else {
            &[HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha1]
        };
        // The file doesn't say which hash --hashalg meant; the signature does.
        for hash in hashes {
            let plan = SigningPlan {
                scheme: Scheme::Rsa,
                hash: Some(*hash),
                revocation_counter: counter,
            };
            if let Ok(signed) = sign::attach(list.clone(), &key, &plan, &value) {
                return write(out, &signed.to_bytes()?);
            }
        }
        Err(anyhow!("signature file does not match policy list"))
    }
}

const UNKNOWN_VERSION: &str = "only list versions 0x100, 0x200, 0x201 or 0x300 are supported";

fn text(path: &str) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| anyhow!("{path} is no text"))
}

fn public_key(path: &str) -> Result<PublicKey> {
    PublicKey::from_pem(&text(path)?).with_context(|| path.to_owned())
}
