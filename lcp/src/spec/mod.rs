//! One reviewed file that says everything: elements, lists, signatures, policy, NV index. From it
//! [`build`] makes all files, always the same bytes. (`lcp build`; the format stands in lcp(8).)
//!
//! Paths in it are read through a function that the caller gives, so that nothing here touches the
//! file system.

use std::{collections::BTreeMap, error::Error};

use serde::Deserialize;

mod build;
mod element;
mod list;
mod nv;
mod policy;

pub use build::{Built, Outcome, build};
pub use list::Pending;
pub use nv::{NvIndex, PO_ATTRIBUTES, PO_PERMISSIONS};

/// What goes wrong at a place: an error of the part that is made, of the caller who reads files, or
/// one sentence.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Reads a file that a spec names; `None` when there is none.
pub type ReadFile<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>, Cause> + 'a;

/// Why a spec cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// No TOML, or a field that does not exist or has the wrong type; with line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// Something that is wrong at a place in the spec.
    #[error("{place}: {cause}")]
    At {
        /// Where in the spec.
        place: String,
        /// What is wrong there.
        cause: Cause,
    },
}

impl SpecError {
    fn at(place: &str, cause: impl Into<Cause>) -> Self {
        Self::At {
            place: place.to_owned(),
            cause: cause.into(),
        }
    }
}

/// Turns an error into one with its place.
trait Place<T> {
    fn at(self, place: &str) -> Result<T, SpecError>;
}

impl<T, E: Into<Cause>> Place<T> for Result<T, E> {
    fn at(self, place: &str) -> Result<T, SpecError> {
        self.map_err(|error| SpecError::at(place, error))
    }
}

/// A spec file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    #[serde(default)]
    tpm: TpmVersion,
    policy: PolicySpec,
    #[serde(default, rename = "list")]
    lists: Vec<ListSpec>,
    #[serde(default)]
    nv: NvSpec,
    #[serde(default)]
    check: CheckSpec,
}

impl Spec {
    /// Reads a spec file's text.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Ok(toml::from_str(text)?)
    }
}

/// The TPM that the policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum TpmVersion {
    #[serde(rename = "1.2")]
    Tpm12,
    #[default]
    #[serde(rename = "2.0")]
    Tpm20,
}

/// `[policy]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySpec {
    version: Option<String>,
    #[serde(rename = "type")]
    kind: PolicyKind,
    hash: Option<String>,
    hash_algs: Option<Vec<String>>,
    sign_algs: Option<Vec<String>>,
    #[serde(default)]
    sinit_min_version: u8,
    max_sinit_min_version: Option<u8>,
    #[serde(default)]
    control: u32,
    revocation_counters: Option<Vec<u16>>,
    previous: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PolicyKind {
    List,
    Any,
}

/// `[[list]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListSpec {
    name: String,
    version: Option<String>,
    sign: Option<SignSpec>,
    #[serde(default, rename = "element")]
    elements: Vec<ElementSpec>,
}

/// `[list.sign]`: a private key, or a public one and the file of a signature made elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignSpec {
    scheme: String,
    hash: Option<String>,
    #[serde(default)]
    revocation_counter: u16,
    key: Option<String>,
    public: Option<String>,
    signature: Option<String>,
}

/// `[[list.element]]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ElementSpec {
    #[serde(rename = "type")]
    kind: String,
    control: Option<u32>,
    hash: Option<String>,
    min_version: Option<u8>,
    #[serde(default)]
    hashes: Vec<String>,
    #[serde(default)]
    hash_files: Vec<String>,
    #[serde(default)]
    tboot: Vec<TbootSpec>,
    fallback: Option<String>,
    #[serde(default)]
    pcrs: BTreeMap<String, String>,
    locality: Option<u8>,
    uuid: Option<String>,
    data: Option<String>,
}

/// A tboot with its command line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TbootSpec {
    file: String,
    #[serde(default)]
    cmdline: String,
}

/// `[nv]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NvSpec {
    set: Option<u8>,
    index: Option<u32>,
}

/// `[check]`: what the policy must allow.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckSpec {
    sinit: Option<String>,
    #[serde(default)]
    tboot: Vec<TbootSpec>,
}

/// The content of a file that must be there.
fn required(read: &ReadFile<'_>, place: &str, path: &str) -> Result<Vec<u8>, SpecError> {
    read(path)
        .at(place)?
        .ok_or_else(|| SpecError::at(place, format!("there is no file {path}")))
}

/// The same as text.
fn required_text(read: &ReadFile<'_>, place: &str, path: &str) -> Result<String, SpecError> {
    String::from_utf8(required(read, place, path)?)
        .map_err(|_| SpecError::at(place, format!("{path} is not text")))
}
