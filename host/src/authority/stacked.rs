//! A host whose root is another Tao: it runs as a hosted program of its parent. Its name is
//! the parent's name for it, its secret is sealed by the parent, its counters rest on one of
//! the parent's.

use std::{io, path::PathBuf};

use crate::authority::root::{Anchor, Root, RootError};
use tao::state_file;
use tao::{
    attestation::AttestationMessage,
    client::{CallError, Parent, SealPolicy},
    keys::{RandomError, Secret, SignatureFormat, random},
    logic::{Prin, Says, SubPrin},
    wire::proto2,
};

const SECRET_FILE: &str = "sealed_secret";
/// Sealed 32 bytes take less.
const MAX_SECRET: u64 = 64 * 1024;
/// The counter that the parent keeps for this host's own table.
const COUNTER: &str = "counters of the stacked host";

/// Why there is no stacked host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackedError {
    /// The parent refused, or there is none.
    #[error("the parent Tao: {0}")]
    Parent(#[from] CallError),
    /// The file with the host's sealed secret.
    #[error("the host's secret {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the host's secret {0} has {1} bytes instead of 32")]
    Secret(String, usize),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Another Tao.
pub struct StackedRoot {
    parent: &'static Parent,
}

impl StackedRoot {
    /// Takes the guard's name into this program's own, for good, and only then gets the
    /// host's secret: under another guard the parent does not give it out. The first time
    /// a secret is made and sealed into `state_dir`.
    ///
    /// # Errors
    ///
    /// If the parent refuses, or the secret can be neither read nor kept.
    pub fn new(
        parent: &'static Parent,
        guard: &SubPrin,
        state_dir: &std::path::Path,
    ) -> Result<(Self, Secret), StackedError> {
        parent.extend_tao_name(guard)?;
        let path = state_dir.join(SECRET_FILE);
        let file = |source| StackedError::File {
            path: path.clone(),
            source,
        };
        let mut secret = Secret::default();
        match state_file::read(&path, MAX_SECRET).map_err(file)? {
            Some(sealed) => {
                let (opened, _) = parent.unseal(&sealed)?;
                if opened.len() != secret.len() {
                    let path = path.display().to_string();
                    return Err(StackedError::Secret(path, opened.len()));
                }
                secret.copy_from_slice(&opened);
            }
            None => {
                random(&mut *secret)?;
                let sealed = parent.seal(&*secret, SealPolicy::Own)?;
                state_file::replace(&path, &sealed).map_err(file)?;
            }
        }
        Ok((Self { parent }, secret))
    }
}

impl Root for StackedRoot {
    fn host_name(&mut self, _key: &Prin, _guard: &SubPrin) -> Result<Prin, RootError> {
        Ok(self.parent.tao_name()?)
    }

    fn delegate(&mut self, statement: &Says) -> Result<Option<Vec<u8>>, RootError> {
        let issuer = statement.speaker.as_prin();
        let attestation = self.parent.attest_as(
            SignatureFormat::Original,
            issuer,
            statement.time,
            statement.expiration,
            &statement.message,
        )?;
        // It goes into each attestation of this host: it must at least be one.
        proto2::read::<AttestationMessage>(&attestation)?;
        Ok(Some(attestation))
    }

    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        Some(self)
    }
}

impl Anchor for StackedRoot {
    fn describe(&self) -> String {
        "the parent Tao's counter for this host (as good as the parent's own anchor)".to_owned()
    }

    fn value(&mut self) -> Result<Option<u64>, RootError> {
        match self.parent.counter(COUNTER) {
            Ok(value) => Ok(Some(u64::try_from(value)?)),
            // It begins at 0, so that a host that is killed before its first step is none the worse.
            Err(CallError::Refused(sentence)) if sentence == "No such counter" => Ok(Some(0)),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&mut self) -> Result<u64, RootError> {
        self.increment()
    }

    fn increment(&mut self) -> Result<u64, RootError> {
        // In one step, which InitCounter is not: another host of this name would take the same one.
        self.parent
            .rollback_protected_seal(COUNTER, b"", SealPolicy::Own)?;
        Ok(u64::try_from(self.parent.counter(COUNTER)?)?)
    }
}
