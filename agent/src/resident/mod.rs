//! The resident process from its exec on: hardened, with the TPM open, serving as Tao host and
//! sealing for the next boot.

pub mod handover;
mod kernel_log;
mod syscalls;

use std::{fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use tao::keys::Hidden;
use tpm::{Bank, PcrSet, Tpm, Tpm2, TpmError};

use crate::{
    boot::unseal,
    host::{self, HostError, QuotedRoot},
    reseal::{self, ResealService, ServiceError},
    unlock::BootSecret,
};
use handover::ResidentError;

/// Where the Tao host's sockets are.
pub const SOCKETS: &str = "/run/tao";

const ROOT_USER: u32 = 0;

/// Why the Tao host stops, or why a part of it is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// What the boot handed over.
    #[error(transparent)]
    Handover(#[from] ResidentError),
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// The host itself.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The directory of the sockets.
    #[error("{SOCKETS}: {0}")]
    Sockets(io::Error),
    /// The service of `taoboot reseal`.
    #[error(transparent)]
    Reseal(#[from] ServiceError),
    /// Its thread.
    #[error("no thread: {0}")]
    Thread(io::Error),
}

/// Serves until an administrator shuts the host down. An error is for the kernel log, where
/// a person looks: standard error is /dev/null by then.
///
/// # Errors
/// The first that stops the host.
pub fn run() -> Result<(), ServeError> {
    let served = attempt();
    if let Err(error) = &served {
        log::error!("the Tao host stops: {error}");
    }
    served
}

fn attempt() -> Result<(), ServeError> {
    let (secret, event, settings) = handover::take_secret()?;
    handover::detach_from_console()?;
    kernel_log::install();
    handover::harden()?;
    let tpm = Tpm2::open(unseal::TCTI)?;
    let host_secret = Hidden::with(|| secret.host().to_bytes());
    // Without it the machine is as good, but a new kernel needs a passphrase.
    if let Err(error) = serve_reseal(secret, event.host_key) {
        log::error!("reseal: not available in this boot: {error}");
    }
    let root = QuotedRoot::new(Box::new(tpm), Bank::Sha256, PcrSet::LAUNCH, event)
        .hibernating(settings.may_hibernate());
    let sockets = PathBuf::from(SOCKETS);
    tao_host::serve(host::config(root, host_secret, sockets, &settings))?;
    Ok(())
}

fn serve_reseal(secret: Hidden<BootSecret>, host_key: Option<[u8; 32]>) -> Result<(), ServeError> {
    make_socket_directory().map_err(ServeError::Sockets)?;
    let open_tpm = || -> Result<Box<dyn Tpm>, TpmError> { Ok(Box::new(Tpm2::open(unseal::TCTI)?)) };
    let service = ResealService::bind(
        reseal::SOCKET.as_ref(),
        reseal::BOOT.as_ref(),
        ROOT_USER,
        secret,
        Box::new(open_tpm),
    )?
    .with_host_key(host_key);
    std::thread::Builder::new()
        .name("reseal".into())
        // All memory is locked: the default of 2 MiB would never be used.
        .stack_size(512 << 10)
        .spawn(move || service.run())
        .map_err(ServeError::Thread)?;
    Ok(())
}

fn make_socket_directory() -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(SOCKETS) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
