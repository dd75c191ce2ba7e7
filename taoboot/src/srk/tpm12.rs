//! `taoboot srk` on a TPM 1.2, which shows its storage root key to its owner only, and has one only after
//! somebody has taken ownership.

use std::{
    io::{self, IsTerminal},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use tpm::tpm12::{ReturnCode, RsaPublic, Secret, SrkSpelling, Tpm12};
use zeroize::Zeroizing;

use crate::{exit::DEFAULT_TCTI, volume::passphrase};

/// A TPM 1.2 has no resource manager, so that what is the default elsewhere does not exist.
pub fn address(tcti: &str) -> &str {
    const WITHOUT_MANAGER: &str = "device:/dev/tpm0";
    let exists = |path| Path::new(path).exists();
    if tcti == DEFAULT_TCTI && !exists("/dev/tpmrm0") && exists("/dev/tpm0") {
        WITHOUT_MANAGER
    } else {
        tcti
    }
}

/// The key, as the owner is shown it. Without a file the owner's password is the well-known one.
pub fn show(tcti: &str, password: Option<&Path>) -> Result<RsaPublic> {
    let mut tpm = Tpm12::open(tcti)?;
    ensure!(
        tpm.has_owner()?,
        "this TPM 1.2 has no owner, and so no storage root key: `taoboot srk --take-ownership` makes both"
    );
    let owner = match password {
        Some(file) => secret(passphrase::owner(Some(file))?.without_newline())?,
        None => Secret::well_known(),
    };
    tpm.srk_public(&owner)
        .map_err(|error| match (error.code(), password) {
            (Some(ReturnCode::AUTH_FAIL), None) => anyhow::anyhow!(
                "a TPM 1.2 shows its storage root key to its owner only, and the owner's password is not the well-known one: give it with --owner-password-file"
            ),
            (Some(ReturnCode::AUTH_FAIL), Some(_)) => anyhow::anyhow!(
                "the owner's password is wrong; the TPM counts such guesses, and nothing more was tried"
            ),
            _ => error.into(),
        })
}

/// Takes ownership: the password comes from the file, where `sure`, or is typed twice. The new key has the
/// well-known secret, which tboot needs.
pub fn take(tcti: &str, password: Option<&Path>, sure: bool) -> Result<RsaPublic> {
    let mut tpm = Tpm12::open(tcti)?;
    ensure!(
        !tpm.has_owner()?,
        "this TPM 1.2 has an owner already: nothing was changed"
    );
    let owner = match password {
        Some(_) if !sure => bail!(
            "only clearing the TPM in the firmware's set-up takes ownership back, and who forgets the password can change nothing in it: say --force, too"
        ),
        Some(file) => secret(passphrase::owner(Some(file))?.without_newline())?,
        None => typed_twice()?,
    };
    let endorsement = tpm
        .read_endorsement()
        .context("the TPM's endorsement key, to which the password is encrypted, cannot be read")?;
    Ok(tpm.take_ownership(&endorsement, &owner, &SrkSpelling::Zeros.secret())?)
}

fn secret(password: &[u8]) -> Result<Secret> {
    ensure!(!password.is_empty(), "the owner's password is empty");
    Ok(Secret::from_password(password))
}

fn typed_twice() -> Result<Secret> {
    ensure!(
        io::stdin().is_terminal(),
        "the new owner's password is asked for at a terminal, and standard input is not one: give it with --owner-password-file"
    );
    let first = typed("New password of the TPM's owner: ")?;
    let owner = secret(&first)?;
    let again = typed("The same again: ")?;
    ensure!(*first == *again, "the two differ: nothing was changed");
    Ok(owner)
}

fn typed(question: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut line = passphrase::prompt(question)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}
