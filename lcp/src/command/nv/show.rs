//! `lcp nv read` and `lcp nv list`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use argh::FromArgs;
use commands::file;
use lcp::nv::{IndexSet, NvError, NvStorage, Role};
use serde_json::{Value, json};

use super::{
    describe,
    index::index_named,
    open::{self, Wanted},
    password::Source,
};

/// Read an index: what it is, and the policy in it.
#[derive(FromArgs)]
#[argh(subcommand, name = "read")]
pub struct Read {
    /// write the index's bytes to a file
    #[argh(option)]
    out: Option<PathBuf>,
    /// indices that the SINIT module uses on TPM 2.0: set 0 or 1 (default 1)
    #[argh(option, default = "IndexSet::Set1")]
    set: IndexSet,
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// file with the owner's password, - for standard input (default: ask, if it is needed)
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

/// List all indices.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
pub struct List {
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Read {
    pub fn run(self) -> Result<ExitCode> {
        let source = Source::of(self.owner_password_file.as_deref(), self.owner_well_known)?;
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let storage = storage.as_mut();
        let number = index_named(&self.index, storage.family(), self.set)?;
        let index = storage.index(number)?.ok_or(NvError::NotDefined(number))?;
        let owner = match index.owner_read {
            true => Some(source.owner(&storage.state()?.owner)?),
            false => None,
        };
        let data = storage.read(&index, owner.as_ref())?;
        if let Some(path) = &self.out {
            let data = data.as_deref();
            let data = data.with_context(|| format!("NV index {number:#x} was never written"))?;
            file::replace(path, data)?;
        }
        let role = Role::of(storage.family(), number);
        let mut value = describe::index(&index, role);
        if let (Some(map), Value::Object(content)) =
            (value.as_object_mut(), describe::content(data.as_deref()))
        {
            map.extend(content);
        }
        crate::command::describe::print(&value, self.json);
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    pub fn run(self) -> Result<ExitCode> {
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let storage = storage.as_mut();
        let (family, state) = (storage.family(), storage.state()?);
        if !self.json {
            println!(
                "TPM {}, {}",
                open::name(family),
                describe::state_words(&state)
            );
        }
        let mut indices = Vec::new();
        for number in storage.list()? {
            indices.push(one(storage, number, self.json));
        }
        if indices.is_empty() && !self.json {
            println!("no index is defined");
        }
        if self.json {
            let document = json!({
                "tpm": open::name(family),
                "state": describe::state(&state),
                "indices": indices,
            });
            println!("{document:#}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One index of the list. One that cannot be understood does not hide the others.
fn one(storage: &mut dyn NvStorage, number: u32, as_json: bool) -> Value {
    let family = storage.family();
    let role = Role::of(family, number);
    let (words, value) = match storage.index(number) {
        Ok(Some(index)) => (describe::index_words(&index), describe::index(&index, role)),
        Ok(None) => ("gone".to_owned(), json!({ "error": "gone" })),
        Err(error) => {
            let text = error.to_string();
            let value = json!({ "index": format!("{number:#010x}"), "error": text });
            (text, value)
        }
    };
    if !as_json {
        let role = describe::role_words(family, number);
        println!("{number:#010x}{role}: {words}");
    }
    value
}
