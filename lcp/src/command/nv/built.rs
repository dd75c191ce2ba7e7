//! nv.json: what `lcp build` says has to be in the TPM.

use std::path::Path;

use anyhow::{Context, Result, bail};
use commands::Wanted;
use commands::file;
use lcp::nv::{IndexSet, Wish};
use serde::Deserialize;
use tpm::family::Family;
use txt::hash::HashAlg;

use super::open;
use crate::command::number;

/// The file as `lcp build` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Built {
    tpm: String,
    index: String,
    size: u16,
    file: String,
    sha256: String,
    attributes: Option<String>,
    permissions: Option<String>,
    localities: Option<String>,
}

/// The wish of an nv.json; the policy is the file beside it, and must be the one that was built.
pub fn wish(path: &Path, family: Family, set: IndexSet) -> Result<Wish> {
    let shown = || path.display().to_string();
    let text = file::read_text(path, Wanted::Settings)?;
    let built: Built = serde_json::from_str(&text).with_context(shown)?;
    if built.tpm != open::name(family) {
        bail!(
            "{} was built for a TPM {}, this is a TPM {}",
            shown(),
            built.tpm,
            open::name(family)
        );
    }
    if Path::new(&built.file).components().count() != 1 {
        bail!("{}: the file {:?} is not beside it", shown(), built.file);
    }
    let policy = path.with_file_name(&built.file);
    let bytes = file::read(&policy)?;
    let found = HashAlg::Sha256.digest(&bytes).to_string();
    if found != built.sha256 {
        bail!(
            "{} is not the policy that {} was made for: its SHA-256 is {found}, expected {}; \
             build again",
            policy.display(),
            shown(),
            built.sha256
        );
    }
    let numbered = |text: &Option<String>, or: u32| match text {
        Some(text) => number::u32(text)
            .map_err(anyhow::Error::msg)
            .with_context(shown),
        None => Ok(or),
    };
    let mut wish = Wish::owner_policy(family, set, &bytes).with_context(shown)?;
    let definition = &mut wish.definition;
    definition.number = number::u32(&built.index)
        .map_err(anyhow::Error::msg)
        .with_context(shown)?;
    definition.size = built.size;
    if bytes.len() != usize::from(built.size) {
        bail!(
            "{}: size is {}, but the policy has {} bytes",
            shown(),
            built.size,
            bytes.len()
        );
    }
    let attributes = match family {
        Family::Tpm12 => &built.permissions,
        Family::Tpm20 => &built.attributes,
    };
    definition.attributes = numbered(attributes, definition.attributes)?;
    let localities = numbered(&built.localities, definition.localities.into())?;
    definition.localities = u8::try_from(localities)
        .ok()
        .filter(|bits| (1..=0x1f).contains(bits))
        .with_context(|| format!("{}: localities are 0x1 to 0x1f", shown()))?;
    Ok(wish)
}
