//! The PCR values that a launch is expected to have: from a file, or from the TPM.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use agent::unlock::{LaunchPcrs, LaunchPcrsError};
use anyhow::{Context as _, Result, anyhow, bail};
use commands::{Wanted, mismatch};
use tpm::{Bank, PcrIndex, PcrSet, PcrValues, Tpm, pcr_text};

/// The set asked for, without the latch.
pub fn without_latch(pcrs: PcrSet) -> Result<PcrSet> {
    let pcrs = pcrs.without(PcrIndex::LATCH);
    if let Some(pcr) = PcrSet::LAUNCH.iter().find(|pcr| !pcrs.contains(*pcr)) {
        bail!(
            "--pcrs leaves out PCR {pcr}: without PCR 17, 18 and 19 the key does not depend on tboot, kernel and initramfs; name these and any others"
        );
    }
    Ok(pcrs)
}

/// All values in a file.
pub fn read_file(file: &Path) -> Result<PcrValues> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| {
            opened
                .take((pcr_text::MAX_LEN as u64).saturating_add(1))
                .read_to_end(&mut bytes)
        })
        .with_context(|| format!("cannot read {}", file.display()))?;
    let other = || mismatch(file, &bytes, Wanted::Pcrs).map(anyhow::Error::msg);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(_) => return Err(other().unwrap_or_else(|| anyhow!("{} is not text", file.display()))),
    };
    let parsed = pcr_text::of_bank(text, Bank::Sha256);
    parsed.map_err(|error| {
        other().unwrap_or_else(|| anyhow::Error::new(error).context(file.display().to_string()))
    })
}

/// The values of `pcrs` in a file.
pub fn from_file(file: &Path, pcrs: PcrSet) -> Result<PcrValues> {
    let values = read_file(file)?;
    values
        .select(pcrs)
        .with_context(|| file.display().to_string())
}

/// The present values.
pub fn from_tpm(tpm: &mut dyn Tpm, pcrs: PcrSet) -> Result<PcrValues> {
    Ok(tpm.pcr_read(Bank::Sha256, pcrs)?)
}

/// A record for a machine that was not booted by a measured launch would protect nothing.
pub fn of_a_launch(values: PcrValues, file: Option<&Path>) -> Result<LaunchPcrs> {
    match (LaunchPcrs::new(values), file) {
        (Ok(values), _) => Ok(values),
        (Err(LaunchPcrsError::NoLaunch), None) => bail!(
            "this machine was not booted by a measured launch (PCR 17 or a later one is all ones): boot through tboot with Intel TXT enabled, then enroll --current; or enroll a predicted launch with --expect FILE"
        ),
        (Err(LaunchPcrsError::NoLaunch), Some(file)) => bail!(
            "{}: the values are those of a machine without a measured launch (a PCR from 17 on is all ones)",
            file.display()
        ),
        (Err(error), None) => bail!("the present launch cannot be enrolled: {error}"),
        (Err(error), Some(file)) => {
            bail!(
                "{}: such a launch cannot be enrolled: {error}",
                file.display()
            )
        }
    }
}

/// `18=the kernel` and so on.
pub fn components(words: &[String]) -> Result<BTreeMap<PcrIndex, String>> {
    words
        .iter()
        .map(|word| {
            let pair = word.split_once('=').and_then(|(pcr, text)| {
                Some((
                    PcrIndex::try_from(pcr.parse::<u8>().ok()?).ok()?,
                    text.to_owned(),
                ))
            });
            pair.with_context(|| format!("{word:?} is not PCR=TEXT, such as 18=\"kernel 6.1\""))
        })
        .collect()
}
