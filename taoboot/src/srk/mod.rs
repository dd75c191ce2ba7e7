//! `taoboot srk`.

pub mod pinned_srk;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use argh::FromArgs;
use serde_json::json;
use tpm::{Tpm as _, Tpm2};

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
        let mut tpm = Tpm2::open(&self.tcti)?;
        let srk = if self.persist {
            tpm.persist_srk()?
        } else {
            tpm.srk()?
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
}
