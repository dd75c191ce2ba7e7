//! Is the launch that runs one of what was made here? /boot is neither encrypted nor authenticated: whoever
//! had the disk in hands could have had another image launched, and `--current` would give it the key for
//! good.

use std::path::PathBuf;

use agent::unlock::LaunchPcrs;
use anyhow::{Context as _, Result, bail, ensure};
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use crate::{
    next_boot::predictions::{Entry, Source, select},
    trust::known::Known,
};

/// What is compared.
pub struct RunningLaunch {
    pub tcti: String,
    /// The kept menu, which nobody but root wrote, and the platform's record.
    pub source: Source,
}

impl RunningLaunch {
    /// The registers of the entry that it is, as they were predicted: what is approved is this, whatever is
    /// read from the TPM afterwards.
    ///
    /// # Errors
    /// No entry with known files has this launch, or that cannot be told.
    pub fn check(&self) -> Result<LaunchPcrs> {
        let mut tpm = Tpm2::open(&self.tcti)?;
        let values = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
        let running = LaunchPcrs::new(values).context("the launch that runs")?;
        let entries = self
            .source
            .entries()
            .context("whether the launch that runs is one of what was made here cannot be told")?;
        let own = select(&entries, &[])?;
        let mut known = Known::read(self.source.root())?;
        let told = compare(&running, &own, |entry| known.objections(entry));
        known.save()?;
        told.map(|()| running)
    }
}

/// One of the entries has these registers, and nothing speaks against its files.
fn compare(
    running: &LaunchPcrs,
    own: &[&Entry],
    mut objections: impl FnMut(&Entry) -> Vec<String>,
) -> Result<()> {
    let like = own
        .iter()
        .find(|entry| entry.predicted.as_ref() == Ok(running));
    let Some(entry) = like else {
        let names: Vec<&str> = own.iter().map(|entry| entry.title.as_str()).collect();
        bail!(
            "the launch that runs is that of none of the entries that were made here ({}): boot one of them; a launch that you know to be yours is approved by `taoboot enroll --all --current`",
            if names.is_empty() {
                "there are none".into()
            } else {
                names.join("; ")
            }
        );
    };
    let why = objections(entry);
    ensure!(
        why.is_empty(),
        "the launch that runs is that of {:?}, of whose files not all are known here: {}",
        entry.title,
        why.join("; ")
    );
    Ok(())
}

/// Where predictions come from.
pub fn source(root: Option<PathBuf>, predictions: Option<PathBuf>, kept: PathBuf) -> Source {
    Source {
        grub_config: predictions.is_none().then_some(kept),
        root,
        predictions,
        ..Source::default()
    }
}
