//! A domain: a policy key and the rules that it signs, in a directory that the original could
//! load (`tao.config`, `policy_keys/cert`, `policy_keys/keys`, the rules).

mod error;
#[cfg(test)]
mod tests;
pub mod text;

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::{guard::GuardSource, state_file};
use crate::{
    guard::{AclGuard, DatalogGuard, Guard, GuardError, signed},
    keys::{KeyKind, Keyset, Signer, Verifier, certificate, keyset, password},
};
pub use error::DomainError;
use text::{Message, Value};

/// The configuration's name in the directory.
pub const CONFIG: &str = "tao.config";
/// Largest file that is read.
const MAX_FILE: u64 = 256 << 20;
/// How long a policy key's certificate is valid, in days.
const CERTIFICATE_DAYS: i64 = 3650;

/// What every domain begins with: which hosts and programs may run, in terms of facts that
/// are added later.
pub const FIRST_RULES: [&str; 7] = [
    "forall P: forall Host: forall Hash: TrustedHost(Host) and TrustedProgramHash(Hash) and Subprin(P, Host, Hash) implies MemberProgram(P)",
    "forall P: forall Host: forall Guard: TrustedHost(Host) and TrustedGuard(Guard) and Subprin(P, Host, Guard) implies TrustedHost(P)",
    "forall P: forall VM: forall Host: TrustedHost(Host) and TrustedVMImage(VM) and Subprin(P, Host, VM) implies TrustedVM(P)",
    "forall P: forall VM: forall Hash: TrustedVM(VM) and TrustedHost(Hash) and Subprin(P, VM, Hash) implies TrustedHost(P)",
    "forall T: forall PCRs: forall P: TrustedTPM(T) and TrustedOS(PCRs) and Subprin(P, T, PCRs) implies TrustedHost(P)",
    "forall P: TrustedHost(P) implies Authorized(P, \"Execute\")",
    "forall P: MemberProgram(P) implies Authorized(P, \"Execute\")",
];

/// What kind of rules a domain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardKind {
    /// Datalog rules.
    Datalog,
    /// A list.
    Acl,
}

impl GuardKind {
    /// The kind's name in tao.config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datalog => "Datalog",
            Self::Acl => "ACLs",
        }
    }
}

/// A domain in its directory.
#[derive(Debug)]
pub struct Domain {
    dir: PathBuf,
    /// For people.
    pub name: String,
    /// What kind of rules.
    pub guard_kind: GuardKind,
    keys_dir: PathBuf,
    rules: PathBuf,
    /// The policy key.
    pub policy_key: Verifier,
}

fn read(path: &Path) -> Result<Vec<u8>, DomainError> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    state_file::read(path, MAX_FILE)
        .and_then(|file| file.ok_or_else(missing))
        .map_err(|source| DomainError::File {
            path: path.to_owned(),
            source,
        })
}

fn write(path: &Path, contents: &[u8]) -> Result<(), DomainError> {
    state_file::replace(path, contents).map_err(|source| DomainError::File {
        path: path.to_owned(),
        source,
    })
}

/// How a new domain is to be.
pub struct NewDomain<'a> {
    /// For people; also the name in the policy key's certificate.
    pub name: &'a str,
    /// What kind of rules.
    pub guard_kind: GuardKind,
    /// Protects the policy key.
    pub password: &'a [u8],
    /// Protect the key in the original's way, so that the original can sign with it. It is
    /// weaker (4096 rounds of PBKDF2).
    pub original_keys: bool,
    /// Days since 1970: when the certificate's validity begins.
    pub today: i64,
}

impl Domain {
    /// Makes a domain with a new policy key, and signs its first rules.
    ///
    /// # Errors
    /// When there is a domain already, or its files cannot be written.
    pub fn create(dir: &Path, new: &NewDomain<'_>) -> Result<Self, DomainError> {
        let config_path = dir.join(CONFIG);
        if fs::symlink_metadata(&config_path).is_ok() {
            return Err(DomainError::Exists(dir.to_owned()));
        }
        let signer = Signer::generate(KeyKind::P256)?;
        let names = [("CN", new.name), ("O", new.name)];
        let cert = certificate::self_signed(&signer, &names, new.today, CERTIFICATE_DAYS)?;
        let set = keyset::encode(&signer, &cert)?;
        let protected = if new.original_keys {
            password::protect_for_original(new.password, &set)?
        } else {
            password::protect(new.password, &set)?
        };
        write(&dir.join("policy_keys/keys"), &protected)?;
        write(&dir.join("policy_keys/cert"), &cert)?;
        let text = |text: &str| Value::Text(text.to_owned());
        let field = |name: &str, value| (name.to_owned(), value);
        let (info, path) = match new.guard_kind {
            GuardKind::Datalog => ("datalog_guard_info", "signed_rules_path"),
            GuardKind::Acl => ("acl_guard_info", "signed_acls_path"),
        };
        let config = Message(vec![
            field(
                "domain_info",
                Value::Message(Message(vec![
                    field("name", text(new.name)),
                    field("policy_keys_path", text("policy_keys")),
                    field("guard_type", text(new.guard_kind.name())),
                ])),
            ),
            field(
                "x509_info",
                Value::Message(Message(vec![field("common_name", text(new.name))])),
            ),
            field(
                info,
                Value::Message(Message(vec![field(path, text("rules"))])),
            ),
        ]);
        let domain = Self {
            dir: dir.to_owned(),
            name: new.name.to_owned(),
            guard_kind: new.guard_kind,
            keys_dir: dir.join("policy_keys"),
            rules: dir.join("rules"),
            policy_key: signer.verifier().clone(),
        };
        let mut guard = domain.empty_guard()?;
        if new.guard_kind == GuardKind::Datalog {
            for rule in FIRST_RULES {
                guard.add_rule(rule)?;
            }
        }
        domain.save(guard.as_ref(), &signer)?;
        // Last: a directory with a configuration is a domain that is complete.
        write(&config_path, config.to_string().as_bytes())?;
        Ok(domain)
    }

    /// Reads a domain, one of the original's too.
    ///
    /// # Errors
    /// When a file of the domain is missing or malformed.
    pub fn load(dir: &Path) -> Result<Self, DomainError> {
        let path = dir.join(CONFIG);
        let contents = |reason: &str| DomainError::Contents {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let file = String::from_utf8(read(&path)?).map_err(|_| contents("not UTF-8"))?;
        let config = Message::parse(&file).map_err(|source| DomainError::Config {
            path: path.clone(),
            source,
        })?;
        let info = config
            .message("domain_info")
            .ok_or_else(|| contents("domain_info is missing"))?;
        let keys_dir = info.text("policy_keys_path").unwrap_or("policy_keys");
        let (guard_kind, rules) = match info.text("guard_type") {
            Some("Datalog") => (
                GuardKind::Datalog,
                config
                    .message("datalog_guard_info")
                    .and_then(|info| info.text("signed_rules_path")),
            ),
            Some("ACLs") => (
                GuardKind::Acl,
                config
                    .message("acl_guard_info")
                    .and_then(|info| info.text("signed_acls_path")),
            ),
            _ => return Err(contents("guard_type: expected \"Datalog\" or \"ACLs\"")),
        };
        let rules = rules.ok_or_else(|| contents("the path of the signed rules is missing"))?;
        for inside in [keys_dir, rules] {
            let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            if !Path::new(inside).components().all(plain) {
                return Err(contents(&format!(
                    "{inside:?} leads out of the domain's directory"
                )));
            }
        }
        let keys_dir = dir.join(keys_dir);
        let cert = read(&keys_dir.join("cert"))?;
        Ok(Self {
            dir: dir.to_owned(),
            // For people only: the original, too, takes a domain without a name.
            name: info.text("name").unwrap_or("").to_owned(),
            guard_kind,
            rules: dir.join(rules),
            policy_key: Verifier::from_spki(certificate::public_key(&cert)?)?,
            keys_dir,
        })
    }

    /// The domain's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The policy key for signing. It must be the one that the certificate names.
    ///
    /// # Errors
    /// When the password is wrong, or the key is not the one in the certificate.
    pub fn unlock(&self, password: &[u8]) -> Result<Signer, DomainError> {
        let path = self.keys_dir.join("keys");
        let set = password::open(password, &read(&path)?)?;
        match Keyset::decode(&set)?.signer {
            Some(signer) if signer.verifier() == &self.policy_key => Ok(signer),
            _ => Err(DomainError::Contents {
                path,
                reason: "not the key that the certificate names".to_owned(),
            }),
        }
    }

    fn empty_guard(&self) -> Result<Box<dyn Guard>, DomainError> {
        let name = self.policy_key.name()?;
        Ok(match self.guard_kind {
            GuardKind::Datalog => Box::new(DatalogGuard::with_key(name)),
            GuardKind::Acl => Box::new(AclGuard::with_key(name)),
        })
    }

    /// The domain's guard, with its signed rules.
    ///
    /// # Errors
    /// When the rules are missing, malformed, or not signed by the policy key.
    pub fn guard(&self) -> Result<Box<dyn Guard>, DomainError> {
        let file = read(&self.rules)?;
        Ok(match self.guard_kind {
            GuardKind::Datalog => Box::new(DatalogGuard::from_signed(&file, &self.policy_key)?),
            GuardKind::Acl => Box::new(AclGuard::from_signed(&file, &self.policy_key)?),
        })
    }

    /// Where a host gets these rules from.
    pub fn guard_source(&self) -> GuardSource {
        let (rules, key) = (self.rules.clone().into(), self.policy_key.clone());
        match self.guard_kind {
            GuardKind::Datalog => GuardSource::SignedDatalog(rules, key),
            GuardKind::Acl => GuardSource::SignedAcl(rules, key),
        }
    }

    /// Signs the guard's rules and puts them in place of the old ones.
    ///
    /// # Errors
    /// When the guard has no rules, or they cannot be signed or written.
    pub fn save(&self, guard: &dyn Guard, signer: &Signer) -> Result<(), DomainError> {
        let rules = guard.serialized().ok_or(GuardError::Fixed(
            "this guard has no rules that could be signed",
        ))?;
        let signed = match self.guard_kind {
            GuardKind::Datalog => signed::sign_datalog(signer, rules)?,
            GuardKind::Acl => signed::sign_acl(signer, rules)?,
        };
        write(&self.rules, &signed)
    }
}
