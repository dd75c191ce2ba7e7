//! What is checked, and what was found.

use std::fmt;

use txt::{
    acm::Acm,
    hash::{Digest, HashAlg},
};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Holds only on a platform that fulfils it.
    Condition,
    /// Works, but is hardly meant so: nothing is written without `--force`.
    Warning,
    /// SINIT refuses.
    Refused,
}

impl Severity {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Condition => "condition",
            Self::Warning => "warning",
            Self::Refused => "refused",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The list it is about, from 0.
    pub list: Option<usize>,
    /// One sentence.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = self.severity.name();
        match self.list {
            Some(list) => write!(f, "{severity}: list {list}: {}", self.text),
            None => write!(f, "{severity}: {}", self.text),
        }
    }
}

/// What is to be launched and where the policy goes, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The MLE's hash, in as many algorithms as are known.
    pub mle_hashes: Vec<Digest>,
    /// Version of the SINIT module.
    pub sinit_version: Option<u8>,
    /// The hashes that the SINIT module knows; empty when that is not known.
    pub sinit_hashes: Vec<HashAlg>,
    /// Size of the NV index for the policy, in bytes.
    pub nv_size: Option<usize>,
}

impl Target {
    /// Adds what a SINIT module says about itself.
    pub fn add_sinit(&mut self, acm: &Acm) {
        self.sinit_version = Some(acm.info().acm_version);
        // A module without a TPM info list does not say which hashes it knows.
        self.sinit_hashes = acm.tpm().map_or_else(Vec::new, |tpm| tpm.hashes());
    }
}

/// The element that allows the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The list, from 0.
    pub list: usize,
    /// The element in it, from 0.
    pub element: usize,
    /// The hash in it, from 0.
    pub hash: usize,
}

/// The outcome.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// What allows the MLE; `None` when nothing does or when its hash was not given.
    pub allowed_by: Option<Match>,
}

impl Report {
    /// Does nothing speak against the launch?
    pub fn accepted(&self) -> bool {
        self.worst() != Some(Severity::Refused)
    }

    /// The finding that weighs most.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    pub(super) fn add(&mut self, severity: Severity, list: Option<usize>, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            list,
            text: text.into(),
        });
    }
}
