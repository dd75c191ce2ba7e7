//! `taoboot srk`.

pub mod pinned_srk;
mod tpm12;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use argh::FromArgs;
use commands::refuse_idle;
use serde_json::json;
use tpm::{
    Name, Srk as Key, Tpm as _, Tpm2, TpmError,
    family::{self, Family},
};

/// Print the name of the TPM's storage root key, to be pinned in the measured configuration
/// as srk_name.
#[derive(FromArgs)]
#[argh(subcommand, name = "srk")]
pub struct Srk {
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// make the key persistent at 0x81000001 unless there is one: saves its derivation, up
    /// to a second, at each boot
    #[argh(switch)]
    persist: bool,
    /// take ownership of a TPM 1.2 that has no owner, which makes its storage root key; the owner's
    /// password is typed twice, or comes from --owner-password-file with --force
    #[argh(switch)]
    take_ownership: bool,
    /// file with the password of a TPM 1.2's owner (default: the well-known one; a TPM 1.2 shows its key to
    /// nobody else)
    #[argh(option, arg_name = "file")]
    owner_password_file: Option<PathBuf>,
    /// do not ask: --take-ownership with the password of the file
    #[argh(switch)]
    force: bool,
    /// write it as srk_name into the configuration that images are built with
    #[argh(switch)]
    pin: bool,
    /// that configuration (default /etc/taoboot/image.toml)
    #[argh(option, default = "pinned_srk::CONFIG.into()", arg_name = "file")]
    config: PathBuf,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl Srk {
    pub fn run(self) -> Result<ExitCode> {
        refuse_idle(
            &[("--force", self.force && !self.take_ownership)],
            "without --take-ownership",
        )?;
        let tcti = tpm12::address(&self.tcti);
        let srk = match family::detect(tcti) {
            Ok(Family::Tpm12) => self.of_tpm12(tcti)?,
            // What does not answer is named by the kernel, or said in the words of a TPM 2.0.
            Ok(Family::Tpm20) | Err(_) => match Tpm2::open(tcti) {
                Err(TpmError::Tpm12 { .. }) => self.of_tpm12(tcti)?,
                opened => self.of_tpm2(opened?)?,
            },
        };
        if self.pin && pinned_srk::pin(&self.config, &srk.name)? {
            eprintln!(
                "taoboot: srk_name is pinned in {}: make the images anew with /usr/lib/taoboot/kernel refresh",
                self.config.display()
            );
        }
        if self.json {
            let handle = srk.persistent.map(|handle| format!("0x{handle:08x}"));
            println!("{}", json!({ "name": srk.name, "persistent": handle }));
        } else {
            println!("{}", srk.name);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_tpm2(&self, mut tpm: Tpm2) -> Result<Key> {
        let idle = [
            ("--take-ownership", self.take_ownership),
            ("--owner-password-file", self.owner_password_file.is_some()),
        ];
        refuse_idle(&idle, "with a TPM 2.0")?;
        Ok(if self.persist {
            tpm.persist_srk()?
        } else {
            tpm.srk()?
        })
    }

    fn of_tpm12(&self, tcti: &str) -> Result<Key> {
        /// TPM_KH_SRK.
        const HANDLE: u32 = 0x4000_0000;
        refuse_idle(
            &[("--persist", self.persist)],
            "with a TPM 1.2: its key is always there",
        )?;
        let password = self.owner_password_file.as_deref();
        let name: Name = if self.take_ownership {
            tpm12::take(tcti, password, self.force)?.name()
        } else {
            tpm12::show(tcti, password)?.name()
        };
        Ok(Key {
            name,
            persistent: Some(HANDLE),
        })
    }
}
