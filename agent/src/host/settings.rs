//! What the resident process needs of the measured configuration and of the image, which is gone
//! by then: the section `[tao]`, and the rules that it names in the image.

use std::{fs::File, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::section::{GuardPlan, RulesPlace, SignedKind, TaoConfig, TaoConfigError};
use tao::guard::{GuardSource, RulesFile};
use tao_host::ProgramPolicy;

/// Where the host keeps what must outlive a boot: the counters of hosted programs.
pub const STATE: &str = "/var/lib/taoboot/tao";

/// Largest rules file in the image.
const MAX_RULES: u64 = 512 * 1024;

/// The section, and what the image has besides: all that the resident process needs of the
/// image, which is gone by then.
#[derive(Clone, Debug)]
pub struct HostSettings {
    config: TaoConfig,
    guard: GuardSource,
    /// May the machine hibernate with the host's secrets in its memory?
    hibernation: bool,
}

/// A liberal host with the default policy for programs.
impl Default for HostSettings {
    fn default() -> Self {
        Self {
            config: TaoConfig::default(),
            guard: GuardSource::Liberal,
            hibernation: false,
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
            return Self::new(config, None);
        };
        let (path, rules) = (path.clone(), read_rules(path)?);
        let settings = Self::new(config, Some(rules))?;
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
        Ok(Self {
            config,
            guard,
            hibernation: false,
        })
    }

    /// On a machine whose measured configuration allows hibernation: the kernel refuses it as long as
    /// anybody has secret memory, so the host's secrets lie in locked memory there.
    #[must_use]
    pub fn hibernating(self, hibernation: bool) -> Self {
        Self {
            hibernation,
            ..self
        }
    }

    /// May the machine hibernate?
    pub const fn may_hibernate(&self) -> bool {
        self.hibernation
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
        Ok(Self::new(config, rules.transpose()?)?)
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
#[path = "settings_tests.rs"]
mod tests;
