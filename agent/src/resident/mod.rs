//! The resident process from its exec on: hardened, with the TPM open, serving as Tao host and
//! sealing for the next boot.

pub mod handover;
mod kernel_log;
mod syscalls;

use std::{fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use tao::keys::Hidden;
use tpm::{Bank, PcrSet, Tpm, Tpm2};

use crate::{
    boot::unseal,
    host::{self, QuotedRoot},
    reseal::{self, ResealService},
    unlock::BootSecret,
};

/// Where the Tao host's sockets are.
pub const SOCKETS: &str = "/run/tao";

const ROOT_USER: u32 = 0;

/// Serves until an administrator shuts the host down. An error is for the kernel log, where
/// a person looks: standard error is /dev/null by then.
pub fn run() -> Result<(), String> {
    let served = attempt();
    if let Err(sentence) = &served {
        log::error!("the Tao host stops: {sentence}");
    }
    served
}

fn attempt() -> Result<(), String> {
    let (secret, event, settings) = handover::take_secret().map_err(|error| error.to_string())?;
    handover::detach_from_console().map_err(|error| error.to_string())?;
    kernel_log::install();
    handover::harden().map_err(|error| error.to_string())?;
    let tpm = Tpm2::open(unseal::TCTI).map_err(|error| error.to_string())?;
    let host_secret = Hidden::with(|| secret.host().to_bytes());
    serve_reseal(secret);
    let root = QuotedRoot::new(Box::new(tpm), Bank::Sha256, PcrSet::LAUNCH, event);
    tao_host::serve(host::config(
        root,
        host_secret,
        PathBuf::from(SOCKETS),
        &settings,
    ))
    .map_err(|error| error.to_string())
}

/// Without it the machine is as good, but a new kernel needs a passphrase: it is said aloud.
fn serve_reseal(secret: Hidden<BootSecret>) {
    let open_tpm =
        || -> Result<Box<dyn Tpm>, tpm::TpmError> { Ok(Box::new(Tpm2::open(unseal::TCTI)?)) };
    let bound = make_socket_folder()
        .map_err(|error| format!("{SOCKETS}: {error}"))
        .and_then(|()| {
            ResealService::bind(
                reseal::SOCKET.as_ref(),
                reseal::BOOT.as_ref(),
                ROOT_USER,
                secret,
                Box::new(open_tpm),
            )
            .map_err(|error| error.to_string())
        });
    let started = bound.and_then(|service| {
        std::thread::Builder::new()
            .name("reseal".into())
            // All memory is locked: the default of 2 MiB would never be used.
            .stack_size(512 << 10)
            .spawn(move || service.run())
            .map_err(|error| format!("no thread: {error}"))
    });
    if let Err(sentence) = started {
        log::error!("reseal: not available in this boot: {sentence}");
    }
}

fn make_socket_folder() -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(SOCKETS) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
