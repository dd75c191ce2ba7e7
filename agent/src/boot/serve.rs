//! The resident process from its exec on: hardened, with the TPM open, serving as Tao host.

use std::path::PathBuf;

use tpm::{Bank, PcrSet, Tpm2};

use crate::{
    boot::{kernel_log, release, resident},
    host::{self, Guard, HostConfig, Root},
};

/// Where the Tao host's sockets are.
pub const SOCKETS: &str = "/run/tao";

/// Serves until an administrator shuts the host down. An error is for the kernel log, where
/// a person looks: standard error is /dev/null by then.
pub fn serve() -> Result<(), String> {
    let served = attempt();
    if let Err(sentence) = &served {
        log::error!("the Tao host stops: {sentence}");
    }
    served
}

fn attempt() -> Result<(), String> {
    let secret = resident::take_secret().map_err(|error| error.to_string())?;
    resident::detach_from_console().map_err(|error| error.to_string())?;
    kernel_log::install();
    resident::harden().map_err(|error| error.to_string())?;
    let tpm = Tpm2::open(release::TCTI).map_err(|error| error.to_string())?;
    host::serve(HostConfig {
        root: Root::Tpm2 {
            tpm: Box::new(tpm),
            bank: Bank::Sha256,
            pcrs: PcrSet::LAUNCH,
        },
        host_secret: secret,
        socket_dir: PathBuf::from(SOCKETS),
        guard: Guard::Liberal,
    })
    .map_err(|error| error.to_string())
}
