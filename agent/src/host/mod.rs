//! The Tao host on this machine's TPM. The host itself is [`host`], which needs no C
//! library, so that a development host runs anywhere; here is what ties it to a TPM and
//! the PCRs of the launch.

mod quoted;
mod settings;

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tao::{
    attestation::BootEvent,
    keys::{Hidden, Secret},
};
use tao_host::SoftRoot;
use tpm::{Bank, PcrSet, Tpm2};

pub use quoted::{ANCHOR_INDEX, QuotedRoot};
pub use settings::{GuardKind, HostSettings, STATE, TaoConfig, TaoConfigError};
pub use tao_host::HostError;

/// What the host's name and authority rest on.
pub enum Root {
    /// The machine's TPM and the PCRs of its launch.
    Tpm2 {
        /// The TPM, for the quote, which is renewed before it expires, and for the counter
        /// that anchors the programs' own.
        tpm: Box<Tpm2>,
        /// Bank of the PCRs in the name.
        bank: Bank,
        /// PCRs in the name: normally 17, 18 and 19.
        pcrs: PcrSet,
        /// What PCR 15 was extended with after the latch: it names the host's key.
        event: BootEvent,
    },
    /// Nothing but the host's own key, and the name says so: `key([...])`. For development.
    Soft,
}

/// What a host needs.
pub struct HostConfig {
    /// Root of its authority.
    pub root: Root,
    /// Its keys are derived from this: 32 secret bytes, the same at each boot.
    pub host_secret: Hidden<Secret>,
    /// Where the socket `admin.sock` is made: normally /run/tao.
    pub socket_dir: PathBuf,
    /// What may be started, how, and who may administer it.
    pub settings: HostSettings,
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Settings that were good at boot.
    #[error(transparent)]
    Settings(#[from] TaoConfigError),
    /// The host itself.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// SHA-256 of the key (DER SubjectPublicKeyInfo) that a host with this secret and these settings
/// signs with, for the boot event.
pub fn key_digest(host_secret: &Secret, settings: &HostSettings) -> Result<[u8; 32], ServeError> {
    let key = tao_host::public_key(host_secret, &settings.guard()?)?;
    Ok(Sha256::digest(key).into())
}

/// Runs the host in this process until an administrator shuts it down.
pub fn serve(config: HostConfig) -> Result<(), ServeError> {
    let settings = &config.settings;
    let root: Box<dyn tao_host::Root> = match config.root {
        Root::Tpm2 {
            tpm,
            bank,
            pcrs,
            event,
        } => Box::new(QuotedRoot::new(tpm, bank, pcrs, event)),
        Root::Soft => Box::new(SoftRoot),
    };
    tao_host::serve(tao_host::HostConfig {
        root,
        host_secret: config.host_secret,
        socket_dir: config.socket_dir,
        admin_group: settings.admin_group(),
        state_dir: Some(PathBuf::from(STATE)),
        guard: settings.guard()?,
        programs: settings.programs()?,
    })?;
    Ok(())
}
