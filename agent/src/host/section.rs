//! The section `[tao]` of the measured configuration: what the Tao host may start, and how.
//! It is measured with the image, so the policy key in it is as trusted as the agent itself.

use std::{fmt, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};

use tao::keys::{Verifier, certificate};
use tao_host::{PolicyError, PolicyWords, ProgramPolicy};

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct TaoText {
    /// Who decides what may be started; `liberal` unless given.
    guard: GuardKind,
    /// The signed rules, on the root file system. They are read again when they change.
    rules: Option<PathBuf>,
    /// Or in the image, where they are measured too.
    image_rules: Option<PathBuf>,
    /// Who must have signed the rules: certificate or public key, PEM or base64.
    policy_key: Option<String>,
    /// Number of a group that may use the host's socket, for what the guard lets its users do.
    pub(super) admin_group: Option<u32>,
    /// How programs are started.
    #[serde(flatten)]
    programs: PolicyWords,
}

/// Keys of the section besides those of [`PolicyWords`].
const KEYS: [&str; 5] = ["guard", "rules", "image_rules", "policy_key", "admin_group"];

/// A key of the section.
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a key of [tao]")
    }

    // Refused here and not with its value: the error is at the key's place in the file.
    fn visit_str<E: de::Error>(self, found: &str) -> Result<Key, E> {
        let mut keys = KEYS.into_iter().chain(PolicyWords::KEYS);
        keys.find(|key| *key == found).map(Key).ok_or_else(|| {
            let keys: Vec<_> = KEYS.into_iter().chain(PolicyWords::KEYS).collect();
            let keys = keys.join("`, `");
            E::custom(format!("unknown field `{found}`, expected one of `{keys}`"))
        })
    }
}

impl<'de> Deserialize<'de> for TaoText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SectionVisitor)
    }
}

struct SectionVisitor;

impl<'de> Visitor<'de> for SectionVisitor {
    type Value = TaoText;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("the section [tao]")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut section: M) -> Result<TaoText, M::Error> {
        let mut text = TaoText::default();
        while let Some(Key(key)) = section.next_key()? {
            match key {
                "guard" => text.guard = section.next_value()?,
                "rules" => text.rules = section.next_value()?,
                "image_rules" => text.image_rules = section.next_value()?,
                "policy_key" => text.policy_key = section.next_value()?,
                "admin_group" => text.admin_group = section.next_value()?,
                of_programs => text.programs.read_value(of_programs, &mut section)?,
            }
        }
        Ok(text)
    }
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
    pub(super) text: TaoText,
    pub(super) guard: GuardPlan,
    pub(super) programs: ProgramPolicy,
}

/// Who decides, with what the decision needs.
#[derive(Clone, Debug, Default)]
pub(super) enum GuardPlan {
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
pub(super) enum SignedKind {
    Acl,
    Datalog,
}

#[derive(Clone, Debug)]
pub(super) enum RulesPlace {
    /// On the root file system.
    Root(PathBuf),
    Image(PathBuf),
}

impl TryFrom<TaoText> for TaoConfig {
    type Error = TaoConfigError;

    fn try_from(text: TaoText) -> Result<Self, TaoConfigError> {
        Ok(Self {
            programs: text.programs.policy()?,
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
