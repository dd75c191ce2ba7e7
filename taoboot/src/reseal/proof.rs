//! What the resident agent wants to see before it seals: the files of a launch and its extends,
//! so that it computes the PCR values itself.

use agent::reseal::{LaunchEvent, Measure, MeasuredFile, replay};
use anyhow::{Context as _, Result, bail};
use tboot_policy::{grub::files::FileRole, predict::printed::PrintedFile};

use crate::next_boot::predictions::{Entry, Extend};

/// SINIT's event for tboot (TXT software development guide).
const MLE_HASH: &str = "MLE_HASH";
/// tboot's events for the modules that it counts, `module 0` is the kernel.
const MODULE: &str = "module ";
/// Roles that tboot takes away before it counts.
const TAKEN_AWAY: [FileRole; 2] = [FileRole::Sinit, FileRole::PolicyData];

/// The files, in GRUB's order.
pub fn files(entry: &Entry) -> Vec<MeasuredFile> {
    let files = entry.files.iter().map(|file| {
        let now = file.read_from.clone();
        MeasuredFile {
            stands_at: now.as_ref().map(|_| file.path.clone()),
            path: now.unwrap_or_else(|| file.path.clone()),
            sha256: file.sha256.clone(),
        }
    });
    files.collect()
}

/// Every extend, with the file that it measures.
pub fn events(entry: &Entry) -> Result<Vec<LaunchEvent>> {
    let mut events = Vec::new();
    for extend in &entry.extends {
        events.push(LaunchEvent {
            pcr: extend.pcr,
            measured: measured(extend, &entry.files)?,
        });
    }
    if leads_there(entry, false)? {
        return Ok(events);
    }
    // Logs of some platforms have PCR 17 after HASH_START instead of what is extended.
    if let (Some(event), true) = (events.first_mut(), leads_there(entry, true)?)
        && let Measure::Platform { name, sha256 } = &event.measured
    {
        event.measured = Measure::Initial {
            name: name.clone(),
            sha256: sha256.clone(),
        };
        return Ok(events);
    }
    bail!(
        "its predicted events do not lead to its predicted PCR values: predict it with the tboot-policy of this version"
    )
}

fn measured(extend: &Extend, files: &[PrintedFile]) -> Result<Measure> {
    let counted = |(_, file): &(usize, &PrintedFile)| {
        file.role != FileRole::Tboot && !TAKEN_AWAY.contains(&file.role)
    };
    let mut numbered = files.iter().enumerate();
    let (found, is_tboot) = if extend.name == MLE_HASH {
        (
            numbered.find(|(_, file)| file.role == FileRole::Tboot),
            true,
        )
    } else if let Some(number) = extend.name.strip_prefix(MODULE) {
        let number: usize = number.parse().context("a module's number")?;
        (numbered.filter(counted).nth(number), false)
    } else {
        return Ok(Measure::Platform {
            name: extend.name.clone(),
            sha256: extend.sha256.clone(),
        });
    };
    let (file, loaded) =
        found.with_context(|| format!("{}: the prediction names no file for it", extend.name))?;
    let cmdline = loaded.cmdline.clone().with_context(|| {
        format!(
            "{}: its command line is not text, or tboot-policy is of another version",
            loaded.path
        )
    })?;
    Ok(if is_tboot {
        Measure::Tboot { file, cmdline }
    } else {
        Measure::Module { file, cmdline }
    })
}

fn leads_there(entry: &Entry, initial: bool) -> Result<bool> {
    let Ok(predicted) = &entry.predicted else {
        return Ok(false);
    };
    let mut digests = Vec::new();
    for extend in &entry.extends {
        digests.push(hex::decode(&extend.sha256).context("a digest")?);
    }
    let extends = entry.extends.iter().zip(&digests).enumerate();
    let registers =
        replay(extends.map(|(place, (extend, digest))| {
            (extend.pcr, digest.as_slice(), initial && place == 0)
        }));
    Ok(registers.iter().all(|(pcr, value)| {
        predicted
            .get(*pcr)
            .is_none_or(|predicted| predicted == value.as_slice())
    }))
}

/// A file that GRUB loads and whose content changes nothing in the registers: the key would not
/// depend on it.
pub fn unmeasured(entry: &Entry) -> Option<&str> {
    let modules = entry
        .files
        .iter()
        .filter(|file| file.role != FileRole::Tboot && !TAKEN_AWAY.contains(&file.role));
    modules
        .enumerate()
        .find(|(number, _)| {
            let name = format!("{MODULE}{number}");
            !entry.extends.iter().any(|extend| extend.name == name)
        })
        .map(|(_, file)| file.path.as_str())
}
