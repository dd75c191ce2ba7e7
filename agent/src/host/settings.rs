//! The section `[tao]` of the measured configuration: what the Tao host may start, and how.
//! It is measured with the image, so the policy key in it is as trusted as the agent itself.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use tao::guard::{GuardSource, RulesFile};
use tao::keys::{Verifier, certificate};
use tao_host::{PolicyError, PolicyWords, ProgramPolicy};

/// Where the host keeps what must outlive a boot: the counters of hosted programs.
pub const STATE: &str = "/var/lib/taoboot/tao";

/// Largest rules file in the image.
const MAX_RULES: u64 = 512 * 1024;

/// Who decides what programs may be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardKind {
    /// Whatever an administrator wants to start.
    #[default]
    Liberal,
    /// Nothing.
    Conservative,
    /// Rules that administrators of the machine add and retract.
    Local,
    /// A list that the policy key has signed.
    Acl,
    /// Datalog rules that the policy key has signed.
    Datalog,
}

/// Section `[tao]` of taoboot.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaoConfig {
    /// Who decides what may be started; `liberal` unless given.
    pub guard: GuardKind,
    /// The signed rules, on the root file system. They are read again when they change.
    pub rules: Option<PathBuf>,
    /// Or in the image, where they are measured too.
    pub image_rules: Option<PathBuf>,
    /// Who must have signed the rules: certificate or public key, PEM or base64.
    pub policy_key: Option<String>,
    /// Number of a group that may use the host's socket, for what the guard lets its users do.
    pub admin_group: Option<u32>,
    /// `best`, `declare`, `strict` or `none`.
    pub isolation: Option<String>,
    /// Programs have a network; true unless given.
    pub network: Option<bool>,
    /// Arguments are part of programs' names; false unless given.
    pub name_arguments: Option<bool>,
    /// `accept`, `measure` or `refuse`.
    pub libraries: Option<String>,
    /// `measure` or `refuse`.
    pub scripts: Option<String>,
    /// `accept`, `name` or `refuse`.
    pub environment: Option<String>,
    /// The most memory of a program, such as `"512M"`.
    pub memory: Option<String>,
    /// The most processes and threads of a program.
    pub processes: Option<u64>,
    /// The most processor time of a program, such as `"150%"`.
    pub cpu: Option<String>,
    /// The most that is measured for one program, such as `"256M"`.
    pub largest: Option<String>,
    /// Files and folders that programs may read; with `write`, they may use no others.
    pub read: Vec<PathBuf>,
    /// Files and folders that programs may also change.
    pub write: Vec<PathBuf>,
    /// Who programs run as: `own`, `caller`, or the number of a user, or that and a group's
    /// (`1000:100`).
    pub user: Option<String>,
    /// Devices that programs may use.
    pub devices: Vec<PathBuf>,
}

/// Why the section is refused; a sentence for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaoConfigError {
    /// A word, a limit, a path.
    #[error("[tao] {0}")]
    Policy(#[from] PolicyError),
    /// Keys that do not fit together.
    #[error("[tao] {0}")]
    Together(&'static str),
    /// The policy key.
    #[error("[tao] policy_key: {0}")]
    Key(String),
    /// The rules in the image.
    #[error("[tao] image_rules {path}: {reason}", path = path.display())]
    ImageRules {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl TaoConfig {
    /// Checks all that can be checked without the image and the root file system.
    pub fn check(&self) -> Result<(), TaoConfigError> {
        self.programs()?;
        let signed = matches!(self.guard, GuardKind::Acl | GuardKind::Datalog);
        let wrong = match (signed, &self.rules, &self.image_rules) {
            (true, None, None) => "guard = \"acl\" or \"datalog\" needs rules or image_rules",
            (true, Some(_), Some(_)) => "rules and image_rules exclude each other",
            (true, ..) if self.policy_key.is_none() => {
                "guard = \"acl\" or \"datalog\" needs policy_key, which must have signed the rules"
            }
            (false, Some(_), _) | (false, _, Some(_)) => {
                "rules and image_rules are for guard = \"acl\" or \"datalog\""
            }
            (false, ..) if self.policy_key.is_some() => {
                "policy_key is for guard = \"acl\" or \"datalog\""
            }
            _ => "",
        };
        if !wrong.is_empty() {
            return Err(TaoConfigError::Together(wrong));
        }
        let paths = self.rules.iter().chain(&self.image_rules);
        if paths.into_iter().any(|path| !path.is_absolute()) {
            return Err(TaoConfigError::Together(
                "rules and image_rules are absolute paths",
            ));
        }
        self.policy_key
            .as_deref()
            .map_or(Ok(()), |key| policy_key(key).map(drop))
    }

    /// How programs are started.
    pub fn programs(&self) -> Result<ProgramPolicy, TaoConfigError> {
        let words = PolicyWords {
            isolation: self.isolation.clone(),
            network: self.network,
            name_arguments: self.name_arguments,
            libraries: self.libraries.clone(),
            scripts: self.scripts.clone(),
            environment: self.environment.clone(),
            memory: self.memory.clone(),
            processes: self.processes,
            cpu: self.cpu.clone(),
            largest: self.largest.clone(),
            read: self.read.clone(),
            write: self.write.clone(),
            user: self.user.clone(),
            devices: self.devices.clone(),
        };
        Ok(words.policy()?)
    }
}

/// A certificate or a public key, DER, in base64 with or without the lines of PEM.
fn policy_key(text: &str) -> Result<Verifier, TaoConfigError> {
    let wrong = |reason: &str| TaoConfigError::Key(reason.to_owned());
    let body: String = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = BASE64
        .decode(body)
        .map_err(|_| wrong("expected a certificate or public key, PEM or base64"))?;
    let key = certificate::public_key(&der).map(<[u8]>::to_vec);
    Verifier::from_spki(&key.unwrap_or(der)).map_err(|error| {
        wrong(&format!(
            "not a certificate or public key that can be used: {error}"
        ))
    })
}

/// The section, and what the image has besides: all that the resident process needs of the
/// image, which is gone by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostSettings {
    config: TaoConfig,
    /// The rules in the image, in base64.
    rules: Option<String>,
}

impl HostSettings {
    /// Takes what the section names from the image.
    pub fn read(config: TaoConfig) -> Result<Self, TaoConfigError> {
        config.check()?;
        let rules = match &config.image_rules {
            Some(path) => Some(BASE64.encode(read_rules(path)?)),
            None => None,
        };
        let settings = HostSettings { config, rules };
        // A boot with rules that nobody signed stops while it can still be said.
        settings
            .guard()?
            .check()
            .map_err(|error| TaoConfigError::ImageRules {
                path: settings.config.image_rules.clone().unwrap_or_default(),
                reason: error.to_string(),
            })?;
        Ok(settings)
    }

    /// For the resident process.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// What [`HostSettings::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Where the host's rules come from.
    pub fn guard(&self) -> Result<GuardSource, TaoConfigError> {
        let signed = || -> Result<(RulesFile, Verifier), TaoConfigError> {
            let key = policy_key(self.config.policy_key.as_deref().unwrap_or_default())?;
            let rules = match &self.rules {
                Some(rules) => {
                    let rules = BASE64.decode(rules);
                    let rules = rules.map_err(|error| TaoConfigError::Key(error.to_string()))?;
                    RulesFile::Fixed(rules.into())
                }
                None => RulesFile::At(self.config.rules.clone().unwrap_or_default()),
            };
            Ok((rules, key))
        };
        Ok(match self.config.guard {
            GuardKind::Liberal => GuardSource::Liberal,
            GuardKind::Conservative => GuardSource::Conservative,
            GuardKind::Local => GuardSource::Local(Path::new(STATE).join("rules")),
            GuardKind::Acl => {
                let (rules, key) = signed()?;
                GuardSource::SignedAcl(rules, key)
            }
            GuardKind::Datalog => {
                let (rules, key) = signed()?;
                GuardSource::SignedDatalog(rules, key)
            }
        })
    }

    /// How programs are started.
    pub fn programs(&self) -> Result<ProgramPolicy, TaoConfigError> {
        self.config.programs()
    }

    /// The group that may use the socket.
    pub fn admin_group(&self) -> Option<u32> {
        self.config.admin_group
    }
}

fn read_rules(path: &Path) -> Result<Vec<u8>, TaoConfigError> {
    let wrong = |reason: String| TaoConfigError::ImageRules {
        path: path.to_owned(),
        reason,
    };
    let mut rules = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_RULES + 1).read_to_end(&mut rules))
        .map_err(|error| {
            wrong(format!(
                "{error} (taoboot-image --file puts it into the image)"
            ))
        })?;
    if rules.len() as u64 > MAX_RULES {
        return Err(wrong(format!("larger than {MAX_RULES} bytes")));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tao::domain::{Domain, GuardKind as DomainGuard, NewDomain};

    fn parsed(text: &str) -> Result<TaoConfig, String> {
        let config: TaoConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    fn domain(dir: &Path) -> (Domain, String) {
        let domain = Domain::create(
            dir,
            &NewDomain {
                name: "test",
                guard_kind: DomainGuard::Datalog,
                password: b"password",
                original_keys: false,
                today: 20_000,
            },
        )
        .unwrap();
        let cert = std::fs::read(dir.join("policy_keys/cert")).unwrap();
        (domain, BASE64.encode(cert))
    }

    #[test]
    fn an_empty_section_is_a_liberal_host_with_the_default_policy() {
        let config = parsed("").unwrap();
        assert_eq!(config.guard, GuardKind::Liberal);
        assert_eq!(config.programs().unwrap(), ProgramPolicy::default());
    }

    #[test]
    fn keys_that_do_not_fit_together_and_unknown_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (_, key) = domain(dir.path());
        for (text, words) in [
            ("guard = \"anything\"".to_owned(), "unknown variant"),
            ("gard = \"liberal\"".to_owned(), "unknown field"),
            ("guard = \"datalog\"".to_owned(), "needs rules"),
            (
                "guard = \"acl\"\nrules = \"/r\"".to_owned(),
                "needs policy_key",
            ),
            ("rules = \"/r\"".to_owned(), "are for guard"),
            (format!("policy_key = \"{key}\""), "is for guard"),
            (
                "guard = \"acl\"\nrules = \"/r\"\nimage_rules = \"/r\"".to_owned(),
                "exclude each other",
            ),
            (
                format!("guard = \"acl\"\nrules = \"r\"\npolicy_key = \"{key}\""),
                "absolute",
            ),
            (
                "guard = \"acl\"\nrules = \"/r\"\npolicy_key = \"AAAA\"".to_owned(),
                "not a certificate or public key",
            ),
            (
                "guard = \"acl\"\nrules = \"/r\"\npolicy_key = \"~\"".to_owned(),
                "PEM or base64",
            ),
            ("isolation = \"some\"".to_owned(), "expected best"),
            ("memory = \"lots\"".to_owned(), "amount of memory"),
            ("read = [\"usr\"]".to_owned(), "absolute path"),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn signed_rules_of_the_image_reach_the_host_and_others_are_refused() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (domain, key) = domain(dir.path());
        domain_rules_are_refused_under_another_key(dir.path(), other.path());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{key}\n-----END CERTIFICATE-----\n");
        let text = format!(
            "guard = \"datalog\"\nimage_rules = \"{}\"\npolicy_key = \"\"\"\n{pem}\"\"\"\nadmin_group = 7\n",
            dir.path().join("rules").display()
        );
        let settings = HostSettings::read(parsed(&text).unwrap()).unwrap();
        let passed = HostSettings::from_bytes(&settings.to_bytes().unwrap()).unwrap();
        assert_eq!(passed, settings);
        assert_eq!(passed.admin_group(), Some(7));
        // The same host as one that reads the rules from the domain's folder.
        let name = |source: &GuardSource| source.subprincipal().unwrap().to_string();
        assert_eq!(name(&passed.guard().unwrap()), name(&domain.guard_source()));
        assert!(passed.guard().unwrap().check().is_ok());
    }

    fn domain_rules_are_refused_under_another_key(dir: &Path, other: &Path) {
        let (_, key) = domain(other);
        let rules = dir.join("rules");
        let text = format!(
            "guard = \"datalog\"\nimage_rules = \"{}\"\npolicy_key = \"{key}\"\n",
            rules.display()
        );
        let error = HostSettings::read(parsed(&text).unwrap()).unwrap_err();
        assert!(error.to_string().contains("image_rules"), "{error}");
        let text = text.replace("/rules", "/absent");
        let error = HostSettings::read(parsed(&text).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("taoboot-image --file"),
            "{error}"
        );
    }
}
