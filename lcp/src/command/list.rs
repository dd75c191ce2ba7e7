//! `lcp list`: make, show, sign and verify lists of elements.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use argh::FromArgs;
use commands::Wanted;
use commands::file;
use lcp::{
    list::{ListVersion, PolicyList},
    sign::{self, PrivateKey, PublicKey, Scheme, SigningPlan},
};
use serde_json::json;
use txt::{element::Element, hash::HashAlg};
use zeroize::Zeroizing;

use super::{describe, number};

/// Make, show, sign and verify policy lists.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
pub struct ListCommand {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Create(Create),
    Show(Show),
    Sign(Sign),
    Digest(Digest),
    Attach(Attach),
    Verify(Verify),
}

/// Make an unsigned list of elements, in the order given.
#[derive(FromArgs)]
#[argh(subcommand, name = "create")]
struct Create {
    /// version: 1.0 (TPM 1.2), 2.0, 2.1 or 3.0 (TPM 2.0; default 3.0)
    #[argh(option, default = "ListVersion::V3_0")]
    version: ListVersion,
    /// file to write
    #[argh(option)]
    out: PathBuf,
    /// element files
    #[argh(positional)]
    elements: Vec<PathBuf>,
}

/// Show a list and verify its signature; exit 1 when it has one that does not verify.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the list's file
    #[argh(positional)]
    file: PathBuf,
}

/// Sign a list with a private key in a file, in place of a signature that it may have.
#[derive(FromArgs)]
#[argh(subcommand, name = "sign")]
struct Sign {
    /// rsa (lists up to 2.1), rsapss (3.0), ecdsa or sm2
    #[argh(option)]
    scheme: Scheme,
    /// hash algorithm for rsa and rsapss (default sha256; lists of version 1.0 have sha1)
    #[argh(option)]
    hash: Option<HashAlg>,
    /// revocation counter (default 0)
    #[argh(option, default = "0", from_str_fn(number::u16))]
    counter: u16,
    /// private key, PEM
    #[argh(option)]
    key: PathBuf,
    /// public key, PEM: checked against the private one
    #[argh(option)]
    public: Option<PathBuf>,
    /// the list's file, which is replaced
    #[argh(positional)]
    file: PathBuf,
}

/// Write the bytes that an offline key or an HSM has to sign.
///
/// `openssl dgst -sha256 -sign key.pem -out signature bytes` signs them (for rsapss add
/// `-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1`); then `lcp list attach`.
#[derive(FromArgs)]
#[argh(subcommand, name = "digest")]
struct Digest {
    /// rsa (lists up to 2.1), rsapss (3.0), ecdsa or sm2
    #[argh(option)]
    scheme: Scheme,
    /// hash algorithm for rsa and rsapss (default sha256; lists of version 1.0 have sha1)
    #[argh(option)]
    hash: Option<HashAlg>,
    /// revocation counter (default 0)
    #[argh(option, default = "0", from_str_fn(number::u16))]
    counter: u16,
    /// public key, PEM
    #[argh(option)]
    public: PathBuf,
    /// file for the bytes to sign
    #[argh(option)]
    out: PathBuf,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the list's file
    #[argh(positional)]
    file: PathBuf,
}

/// Put a signature that was made elsewhere into a list; it is verified first.
#[derive(FromArgs)]
#[argh(subcommand, name = "attach")]
struct Attach {
    /// as given to `lcp list digest`
    #[argh(option)]
    scheme: Scheme,
    /// as given to `lcp list digest`
    #[argh(option)]
    hash: Option<HashAlg>,
    /// as given to `lcp list digest`
    #[argh(option, default = "0", from_str_fn(number::u16))]
    counter: u16,
    /// public key, PEM
    #[argh(option)]
    public: PathBuf,
    /// the signature as openssl writes it: RSA as bytes, ecdsa and sm2 as DER
    #[argh(option)]
    signature: PathBuf,
    /// the list's file, which is replaced
    #[argh(positional)]
    file: PathBuf,
}

/// Verify a list's signature; exit 1 when it does not verify or is not there.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
struct Verify {
    /// public key, PEM: the list must be signed by this one
    #[argh(option)]
    public: Option<PathBuf>,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the list's file
    #[argh(positional)]
    file: PathBuf,
}

/// Reads a list file.
pub fn read(path: &Path) -> Result<PolicyList> {
    let bytes = file::read(path)?;
    file::parsed(path, &bytes, Wanted::PolicyPart, PolicyList::parse(&bytes))
}

fn read_public(path: &Path) -> Result<PublicKey> {
    let text = file::read_text(path, Wanted::Key)?;
    file::parsed(
        path,
        text.as_bytes(),
        Wanted::Key,
        PublicKey::from_pem(&text),
    )
}

impl ListCommand {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create(command) => command.run(),
            Command::Show(command) => {
                let list = read(&command.file)?;
                describe::print(&describe::list(&list), command.json);
                match sign::verify(&list) {
                    Ok(_) | Err(sign::SignError::Unsigned) => Ok(ExitCode::SUCCESS),
                    Err(error) => Err(error).with_context(|| command.file.display().to_string()),
                }
            }
            Command::Sign(command) => command.run(),
            Command::Digest(command) => command.run(),
            Command::Attach(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<ExitCode> {
        let mut elements = Vec::new();
        for path in &self.elements {
            let bytes = file::read(path)?;
            let element = file::parsed(path, &bytes, Wanted::PolicyPart, Element::parse(&bytes))?;
            let legacy = element.body.number() < 0x10;
            if legacy != (self.version == ListVersion::V1_0) {
                let (name, version) = (element.body.name(), self.version);
                let other = if legacy { "1.0" } else { "2.0, 2.1 or 3.0" };
                bail!(
                    "{}: an element of type {name} does not go into a list of version {version}, but {other}",
                    path.display()
                );
            }
            elements.push(element);
        }
        if elements.is_empty() {
            bail!("no element: an empty list allows nothing");
        }
        file::replace(
            &self.out,
            &PolicyList::new(self.version, elements).to_bytes()?,
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Sign {
    fn run(self) -> Result<ExitCode> {
        let list = read(&self.file)?;
        let pem = Zeroizing::new(file::read_text(&self.key, Wanted::Key)?);
        let key = PrivateKey::from_pem(&pem);
        let key = file::parsed(&self.key, pem.as_bytes(), Wanted::Key, key)?;
        if let Some(public) = &self.public
            && read_public(public)? != key.public()
        {
            return Err(anyhow!(sign::SignError::Pair));
        }
        let plan = SigningPlan {
            scheme: self.scheme,
            hash: self.hash,
            revocation_counter: self.counter,
        };
        let signed = sign::sign(list, &key, &plan)?;
        file::replace(&self.file, &signed.to_bytes()?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Digest {
    fn run(self) -> Result<ExitCode> {
        let plan = SigningPlan {
            scheme: self.scheme,
            hash: self.hash,
            revocation_counter: self.counter,
        };
        let key = read_public(&self.public)?;
        let message = sign::to_sign(read(&self.file)?, &key, &plan)?;
        file::replace(&self.out, &message.bytes)?;
        let digest = message.hash.digest(&message.bytes);
        if self.json {
            let document = json!({ "hash": message.hash.name(), "digest": digest.to_string() });
            println!("{document:#}");
        } else {
            println!("{} {digest}", message.hash);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Attach {
    fn run(self) -> Result<ExitCode> {
        let plan = SigningPlan {
            scheme: self.scheme,
            hash: self.hash,
            revocation_counter: self.counter,
        };
        let key = read_public(&self.public)?;
        let signature = file::read(&self.signature)?;
        let signed = sign::attach(read(&self.file)?, &key, &plan, &signature)?;
        file::replace(&self.file, &signed.to_bytes()?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode> {
        let list = read(&self.file)?;
        let verified = sign::verify(&list).with_context(|| self.file.display().to_string())?;
        if let Some(path) = &self.public {
            let key = read_public(path)?;
            let numbers = match &key {
                PublicKey::Rsa { modulus } => modulus.clone(),
                PublicKey::P256 { x, y } | PublicKey::P384 { x, y } | PublicKey::Sm2 { x, y } => {
                    [x.as_slice(), y.as_slice()].concat()
                }
            };
            if list.signature().map(lcp::list::Signature::key_bytes) != Some(numbers) {
                bail!(
                    "{} is signed by another key than {}",
                    self.file.display(),
                    path.display()
                );
            }
        }
        let counter = list
            .signature()
            .map(|signature| signature.revocation_counter);
        let document = json!({
            "verified": true,
            "hash": verified.hash.name(),
            "key_bits": verified.key_bits,
            "revocation_counter": counter,
        });
        describe::print(&document, self.json);
        Ok(ExitCode::SUCCESS)
    }
}
