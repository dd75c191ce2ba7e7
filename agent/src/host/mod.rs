//! The Tao host on this machine's TPM. The host itself is [`host`], which needs no C
//! library, so that a development host runs anywhere; here is what ties it to a TPM and
//! the PCRs of the launch.

mod quoted;
mod section;
mod settings;

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tao::keys::{Hidden, Secret};

pub use quoted::{ANCHOR_INDEX, QuotedRoot};
pub use section::{GuardKind, TaoConfig, TaoConfigError};
pub use settings::{HostSettings, HostTextError, STATE};
pub use tao_host::HostError;

/// SHA-256 of the key (DER SubjectPublicKeyInfo) that a host with this secret and these settings
/// signs with, for the boot event.
///
/// # Errors
/// When the key or the guard's name cannot be made.
pub fn key_digest(host_secret: &Secret, settings: &HostSettings) -> Result<[u8; 32], HostError> {
    let key = tao_host::public_key(host_secret, settings.guard())?;
    Ok(Sha256::digest(key).into())
}

/// The host with this root and these settings. Its keys are derived from `host_secret`, which is
/// the same at each boot; the socket `admin.sock` is made in `socket_dir`, normally /run/tao.
pub fn config(
    root: QuotedRoot,
    host_secret: Hidden<Secret>,
    socket_dir: PathBuf,
    settings: &HostSettings,
) -> tao_host::HostConfig {
    tao_host::HostConfig {
        root: Box::new(root),
        host_secret,
        socket_dir,
        admin_group: settings.admin_group(),
        state_dir: Some(PathBuf::from(STATE)),
        guard: settings.guard().clone(),
        programs: settings.programs().clone(),
    }
}
