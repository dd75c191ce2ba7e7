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

/// Section `[tao]` of taoboot.toml, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaoText {
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
    /// Files and directories that programs may read; with `write`, they may use no others.
    pub read: Vec<PathBuf>,
    /// Files and directories that programs may also change.
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

/// The section, understood: all is checked that can be without the image and the root file system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "TaoText")]
pub struct TaoConfig {
    text: TaoText,
    guard: GuardPlan,
    programs: ProgramPolicy,
}

/// Who decides, with what the decision needs.
#[derive(Clone, Debug, Default)]
enum GuardPlan {
    #[default]
    Liberal,
    Conservative,
    Local,
    Signed {
        kind: SignedKind,
        rules: RulesPlace,
        key: Box<Verifier>,
    },
}

#[derive(Clone, Copy, Debug)]
enum SignedKind {
    Acl,
    Datalog,
}

#[derive(Clone, Debug)]
enum RulesPlace {
    /// On the root file system.
    Root(PathBuf),
    Image(PathBuf),
}

impl TryFrom<TaoText> for TaoConfig {
    type Error = TaoConfigError;

    fn try_from(text: TaoText) -> Result<Self, TaoConfigError> {
        Ok(TaoConfig {
            programs: text.programs()?,
            guard: text.guard_plan()?,
            text,
        })
    }
}

impl TaoConfig {
    /// Who decides what may be started.
    pub fn guard(&self) -> GuardKind {
        self.text.guard
    }

    /// How programs are started.
    pub const fn programs(&self) -> &ProgramPolicy {
        &self.programs
    }
}

impl TaoText {
    fn guard_plan(&self) -> Result<GuardPlan, TaoConfigError> {
        let together = TaoConfigError::Together;
        let kind = match self.guard {
            GuardKind::Acl => SignedKind::Acl,
            GuardKind::Datalog => SignedKind::Datalog,
            unsigned => {
                if self.rules.is_some() || self.image_rules.is_some() {
                    return Err(together(
                        "rules and image_rules are for guard = \"acl\" or \"datalog\"",
                    ));
                }
                if self.policy_key.is_some() {
                    return Err(together("policy_key is for guard = \"acl\" or \"datalog\""));
                }
                return Ok(match unsigned {
                    GuardKind::Conservative => GuardPlan::Conservative,
                    GuardKind::Local => GuardPlan::Local,
                    _ => GuardPlan::Liberal,
                });
            }
        };
        let rules = match (&self.rules, &self.image_rules) {
            (None, None) => {
                return Err(together(
                    "guard = \"acl\" or \"datalog\" needs rules or image_rules",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(together("rules and image_rules exclude each other"));
            }
            (Some(path), None) => RulesPlace::Root(path.clone()),
            (None, Some(path)) => RulesPlace::Image(path.clone()),
        };
        let Some(key) = &self.policy_key else {
            return Err(together(
                "guard = \"acl\" or \"datalog\" needs policy_key, which must have signed the rules",
            ));
        };
        let (RulesPlace::Root(path) | RulesPlace::Image(path)) = &rules;
        if !path.is_absolute() {
            return Err(together("rules and image_rules are absolute paths"));
        }
        Ok(GuardPlan::Signed {
            kind,
            rules,
            key: Box::new(policy_key(key)?),
        })
    }

    fn programs(&self) -> Result<ProgramPolicy, TaoConfigError> {
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
#[derive(Clone, Debug)]
pub struct HostSettings {
    config: TaoConfig,
    guard: GuardSource,
}

/// A liberal host with the default policy for programs.
impl Default for HostSettings {
    fn default() -> Self {
        HostSettings {
            config: TaoConfig::default(),
            guard: GuardSource::Liberal,
        }
    }
}

/// What the resident process is handed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HostText<T> {
    config: T,
    /// The rules in the image, in base64.
    rules: Option<String>,
}

/// Settings that do not arrive as they were sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostTextError {
    /// Another form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Rules that were there when it was sent.
    #[error(transparent)]
    Config(#[from] TaoConfigError),
    /// The rules.
    #[error("the rules of the image are not base64")]
    Rules,
}

impl HostSettings {
    /// Takes what the section names from the image.
    pub fn read(config: TaoConfig) -> Result<Self, TaoConfigError> {
        let GuardPlan::Signed {
            rules: RulesPlace::Image(path),
            ..
        } = &config.guard
        else {
            return HostSettings::new(config, None);
        };
        let (path, rules) = (path.clone(), read_rules(path)?);
        let settings = HostSettings::new(config, Some(rules))?;
        // A boot with rules that nobody signed stops while it can still be said.
        match settings.guard.check() {
            Ok(()) => Ok(settings),
            Err(error) => Err(TaoConfigError::ImageRules {
                path,
                reason: error.to_string(),
            }),
        }
    }

    fn new(config: TaoConfig, image_rules: Option<Vec<u8>>) -> Result<Self, TaoConfigError> {
        let guard = match &config.guard {
            GuardPlan::Liberal => GuardSource::Liberal,
            GuardPlan::Conservative => GuardSource::Conservative,
            GuardPlan::Local => GuardSource::Local(Path::new(STATE).join("rules")),
            GuardPlan::Signed { kind, rules, key } => {
                let rules = match (rules, image_rules) {
                    (RulesPlace::Root(path), _) => RulesFile::At(path.clone()),
                    (RulesPlace::Image(_), Some(rules)) => RulesFile::Fixed(rules.into()),
                    (RulesPlace::Image(path), None) => {
                        return Err(TaoConfigError::ImageRules {
                            path: path.clone(),
                            reason: "were not handed on with the settings".into(),
                        });
                    }
                };
                let key = key.as_ref().clone();
                match kind {
                    SignedKind::Acl => GuardSource::SignedAcl(rules, key),
                    SignedKind::Datalog => GuardSource::SignedDatalog(rules, key),
                }
            }
        };
        Ok(HostSettings { config, guard })
    }

    /// For the resident process.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let rules = match &self.guard {
            GuardSource::SignedAcl(RulesFile::Fixed(rules), _)
            | GuardSource::SignedDatalog(RulesFile::Fixed(rules), _) => Some(BASE64.encode(rules)),
            _ => None,
        };
        serde_json::to_vec(&HostText {
            config: &self.config.text,
            rules,
        })
    }

    /// What [`HostSettings::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostTextError> {
        let HostText::<TaoConfig> { config, rules } = serde_json::from_slice(bytes)?;
        let rules = rules.map(|text| BASE64.decode(text).map_err(|_| HostTextError::Rules));
        Ok(HostSettings::new(config, rules.transpose()?)?)
    }

    /// Where the host's rules come from.
    pub const fn guard(&self) -> &GuardSource {
        &self.guard
    }

    /// How programs are started.
    pub const fn programs(&self) -> &ProgramPolicy {
        &self.config.programs
    }

    /// The group that may use the socket.
    pub const fn admin_group(&self) -> Option<u32> {
        self.config.text.admin_group
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
        toml::from_str(text).map_err(|error| error.to_string())
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
        assert_eq!(config.guard(), GuardKind::Liberal);
        assert_eq!(*config.programs(), ProgramPolicy::default());
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
        assert_eq!(passed.config.text, settings.config.text);
        assert_eq!(passed.admin_group(), Some(7));
        // The same host as one that reads the rules from the domain's directory.
        let name = |source: &GuardSource| source.subprincipal().unwrap().to_string();
        assert_eq!(name(passed.guard()), name(&domain.guard_source()));
        assert!(passed.guard().check().is_ok());
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
