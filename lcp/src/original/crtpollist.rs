//! lcp2_crtpollist: makes, signs, shows and verifies lists.

use lcp::{
    list::{ListVersion, PolicyList, SignatureValue},
    sign::{self, PrivateKey, PublicKey, Scheme, SigningPlan},
};
use txt::{element::Element, hash::HashAlg};
use zeroize::Zeroizing;

use super::{
    Outcome,
    getopt::{self, Opt, Step, flag, with},
    read, strtoul, verify_list, write,
};

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
pub fn run(name: &str, words: &[String]) -> Outcome {
    let mut request = Request::default();
    let mut command = None;
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id @ ('H' | 'C' | 'S' | 'A' | 'W' | 'V' | 'v'), _) => {
                if command.replace(id).is_some() {
                    return Err("only one command can be specified".to_owned());
                }
            }
            Step::Option(id, value) => request.option(id, value)?,
            Step::Wrong(message) => return Err(format!("{name}: {message}")),
        }
    }
    let out = || request.out();
    let one = || match operands.as_slice() {
        [path] => Ok(path),
        _ => Err("no policy list file specified".to_owned()),
    };
    match command {
        None => Err("no command option was specified".to_owned()),
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
        Some(_) => verify_list::verify(operands.first().ok_or("no policy list file specified")?),
    }
}

impl Request {
    /// For lists of version 1.0: RSA with SHA-1, the only kind there is.
    pub fn for_tpm12() -> Self {
        Request {
            version: ListVersion::V1_0.number(),
            sigalg: "rsa".to_owned(),
            quiet: true,
            ..Request::default()
        }
    }

    /// The list's file.
    pub fn out(&self) -> Result<&str, String> {
        self.out
            .as_deref()
            .ok_or("no policy list output file specified".to_owned())
    }

    /// Takes an option.
    pub fn option(&mut self, id: char, value: String) -> Outcome {
        let path = |value: String| Some(value).filter(|path| !path.is_empty());
        match id {
            'o' => self.out = path(value),
            'a' => self.sigalg = value,
            'h' => {
                let alg = value.parse();
                self.hashalg = Some(alg.map_err(|_| format!("incorrect hash alg {value}"))?);
            }
            'u' => self.public = path(value),
            'i' => self.private = path(value),
            'r' => {
                let number = strtoul::number("--rev", &value, 0, 16, false)?;
                self.counter = u16::try_from(number).unwrap_or(u16::MAX);
            }
            'n' => self.nosig = true,
            's' => self.signature = path(value),
            'l' => {
                // Whatever is no number is refused below: there is no version 0.
                let number = strtoul::number("--listver", &value, 16, 16, true)?;
                self.version = u16::try_from(number).unwrap_or(0);
                if self.version == 0 {
                    return Err(UNKNOWN_VERSION.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes a list of element files.
    pub fn create(&self, out: &str, files: &[String]) -> Outcome {
        if self.version == 0 {
            return Err("the list version is not specified: --listver".to_owned());
        }
        let version = ListVersion::from_number(self.version).ok_or(UNKNOWN_VERSION)?;
        if files.len() > MAX_FILES {
            let given = files.len();
            return Err(format!("{given} element files: a list takes {MAX_FILES}"));
        }
        let mut elements = Vec::new();
        for path in files {
            let element = Element::parse(&read(path)?);
            elements.push(element.map_err(|error| format!("{path}: {error}"))?);
        }
        // Each element goes to the front of the original's list.
        elements.reverse();
        let list = PolicyList::new(version, elements);
        let bytes = list.to_bytes().map_err(|error| error.to_string())?;
        write(out, &bytes)
    }

    /// Signs a list.
    pub fn sign(&self, out: &str) -> Outcome {
        let pss = matches!(self.sigalg.as_str(), "rsa-pss" | "rsapss");
        let scheme = match self.sigalg.as_str() {
            "rsa" | "rsa-ssa" | "rsassa" | "rsa-pkcs15" => Scheme::Rsa,
            _ if pss => Scheme::RsaPss,
            "ecdsa" => Scheme::Ecdsa,
            "sm2" => Scheme::Sm2,
            "" => return Err("signature algorithm must be specified: --sigalg".to_owned()),
            other => return Err(format!("signature algorithm {other} is unknown")),
        };
        let public = self
            .public
            .as_deref()
            .ok_or("no public key file specified")?;
        match (self.nosig, &self.private) {
            (true, Some(_)) => {
                return Err("private key file specified with --nosig option".to_owned());
            }
            (false, None) => return Err("no private key file specified".to_owned()),
            _ => {}
        }
        let list = parse(out)?;
        if self.sigalg == "rsa-pkcs15" && list.version() != ListVersion::V1_0 {
            println!("Failed to sign and write LCP list.");
            return Err("rsa-pkcs15 is for lists of version 0x100: use rsa".to_owned());
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
    fn signed_bytes(
        &self,
        list: PolicyList,
        public: &str,
        plan: &SigningPlan,
    ) -> Result<Vec<u8>, String> {
        let public = public_key(public)?;
        let Some(private) = &self.private else {
            let message = sign::to_sign(list, &public, plan).map_err(|error| error.to_string())?;
            return Ok(message.bytes);
        };
        let pem = Zeroizing::new(text(private)?);
        let key = PrivateKey::from_pem(&pem).map_err(|error| format!("{private}: {error}"))?;
        if key.public() != public {
            return Err(sign::SignError::Pair.to_string());
        }
        let signed = sign::sign(list, &key, plan).map_err(|error| error.to_string())?;
        signed.to_bytes().map_err(|error| error.to_string())
    }

    /// Completes what --sign --nosig wrote.
    pub fn add_signature(&self, out: &str) -> Outcome {
        let path = self
            .signature
            .as_deref()
            .ok_or("no signature file specified")?;
        let bytes = read(out)?;
        let value = read(path)?;
        // The file ends where the signature belongs; one of zeros makes it a list.
        let padded = [bytes.as_slice(), &vec![0; value.len()]].concat();
        let list = PolicyList::parse(&padded).map_err(|_| {
            format!(
                "{out} is no list without signature for one of {} bytes",
                value.len()
            )
        })?;
        let Some(signature) = list.signature() else {
            return Err(format!("{out} is no list that --sign --nosig wrote"));
        };
        let SignatureValue::Rsa { modulus, .. } = signature.value() else {
            return Err("only RSA signatures can be added: use lcp list attach".to_owned());
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
                return write(out, &signed.to_bytes().map_err(|error| error.to_string())?);
            }
        }
        Err("signature file does not match policy list".to_owned())
    }
}

const UNKNOWN_VERSION: &str = "only list versions 0x100, 0x200, 0x201 or 0x300 are supported";

fn text(path: &str) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| format!("{path} is no text"))
}

fn public_key(path: &str) -> Result<PublicKey, String> {
    PublicKey::from_pem(&text(path)?).map_err(|error| format!("{path}: {error}"))
}

/// Reads a list file.
pub fn parse(path: &str) -> Result<PolicyList, String> {
    PolicyList::parse(&read(path)?).map_err(|error| format!("{path}: {error}"))
}
