//! `lcp nv release` and `lcp nv lock`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use argh::FromArgs;
use lcp::nv::{IndexSet, NvError, OwnerState};
use serde_json::json;
use tpm::family::Family;

use super::{
    describe,
    index::index_named,
    open::{self, Wanted},
    password::Source,
};

/// Delete an index and what is in it.
#[derive(FromArgs)]
#[argh(subcommand, name = "release")]
pub struct Release {
    /// indices that the SINIT module uses on TPM 2.0: set 0 or 1 (default 1)
    #[argh(option, default = "IndexSet::Set1")]
    set: IndexSet,
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// file with the owner's password, - for standard input (default: ask at the terminal)
    #[argh(option)]
    owner_password_file: Option<PathBuf>,
    /// the owner has the well-known secret: 20 zero bytes (TPM 1.2) or none (TPM 2.0)
    #[argh(switch)]
    owner_well_known: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// owner, vlp, error, platform, aux, sgx, or a number
    #[argh(positional)]
    index: String,
}

/// Lock an index against writing; without index, have a TPM 1.2 check accesses to its NV for ever.
#[derive(FromArgs)]
#[argh(subcommand, name = "lock")]
pub struct Lock {
    /// yes, although it cannot be taken back
    #[argh(switch)]
    yes: bool,
    /// indices that the SINIT module uses on TPM 2.0: set 0 or 1 (default 1)
    #[argh(option, default = "IndexSet::Set1")]
    set: IndexSet,
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// file with the owner's password, - for standard input (default: ask at the terminal)
    #[argh(option)]
    owner_password_file: Option<PathBuf>,
    /// the owner has the well-known secret: 20 zero bytes (TPM 1.2) or none (TPM 2.0)
    #[argh(switch)]
    owner_well_known: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// owner, vlp, error, platform, aux, sgx, or a number
    #[argh(positional)]
    index: Option<String>,
}

impl Release {
    pub fn run(self) -> Result<ExitCode> {
        let source = Source::of(self.owner_password_file.as_deref(), self.owner_well_known)?;
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let storage = storage.as_mut();
        let number = index_named(&self.index, storage.family(), self.set)?;
        let found = storage.index(number)?.ok_or(NvError::NotDefined(number))?;
        let state = storage.state()?;
        if found.platform || found.policy_delete {
            bail!(
                "NV index {number:#x} cannot be released by the owner ({}): the platform's firmware \
                 defined it, or only its own policy may delete it",
                found.names.join(", ")
            );
        }
        if let OwnerState::Unusable(why) = &state.owner {
            bail!("NV index {number:#x} cannot be released: {why}");
        }
        storage.release(number, &source.owner(&state.owner)?)?;
        if storage.index(number)?.is_some() {
            bail!("NV index {number:#x} was released, but is still there");
        }
        if self.json {
            println!("{:#}", json!({ "released": describe::index(&found, None) }));
        } else {
            println!(
                "{number:#010x} released ({})",
                describe::index_words(&found)
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Lock {
    pub fn run(self) -> Result<ExitCode> {
        let source = Source::of(self.owner_password_file.as_deref(), self.owner_well_known)?;
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let storage = storage.as_mut();
        let state = storage.state()?;
        let sentence = match &self.index {
            Some(name) => {
                let number = index_named(name, storage.family(), self.set)?;
                let index = storage.index(number)?.ok_or(NvError::NotDefined(number))?;
                if index.write_locked {
                    format!("{number:#010x} is locked already")
                } else {
                    self.consent("locking an index")?;
                    storage.lock_index(&index, &source.owner(&state.owner)?)?;
                    match storage.index(number)? {
                        Some(after) if after.write_locked => format!("{number:#010x} locked"),
                        _ => bail!("NV index {number:#x} was locked, but does not show it"),
                    }
                }
            }
            None if state.checked => match storage.family() {
                Family::Tpm12 => "the TPM checks accesses to its NV already".to_owned(),
                Family::Tpm20 => "a TPM 2.0 always checks accesses to its NV".to_owned(),
            },
            None => {
                self.consent("setting nvLocked")?;
                storage.lock_storage()?;
                if !storage.state()?.checked {
                    bail!("nvLocked was set, but does not show");
                }
                "the TPM checks accesses to its NV from now on".to_owned()
            }
        };
        if self.json {
            println!("{:#}", json!({ "locked": true, "text": sentence }));
        } else {
            println!("{sentence}");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn consent(&self, what: &str) -> Result<()> {
        if !self.yes {
            bail!("{what} cannot be taken back: say --yes if you mean it");
        }
        Ok(())
    }
}
