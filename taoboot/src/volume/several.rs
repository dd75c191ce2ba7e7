//! Several volumes at once: the first has the records, the others are opened by the same secret.

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use agent::unlock::enrolment::{Enrolment, EnrolmentError};
use anyhow::{Context as _, Result, bail, ensure};

use super::{passphrase, passphrase::Passphrase, root_volume, sentences::leftover_sentence};
use crate::reseal::sealer;

/// The volumes that are named, or with `all` those that the running machine needs.
pub fn named_or_needed(named: &[PathBuf], all: bool) -> Result<Vec<PathBuf>> {
    match (named, all) {
        ([], true) => root_volume::all_needed(Path::new("/"))
            .context("cannot find out which volumes this machine needs: name them with --volume"),
        ([], false) => bail!("say which volume to enrol: --volume DEVICE, or --all"),
        (_, true) => bail!("give only one of --volume and --all"),
        (named, false) => {
            refuse_twice(named)?;
            Ok(named.to_vec())
        }
    }
}

/// The second lock on a device would only say that it is busy.
pub fn refuse_twice(volumes: &[PathBuf]) -> Result<()> {
    let mut seen = Vec::with_capacity(volumes.len());
    for volume in volumes {
        // What is not there is said by the reader of the header.
        let path = fs::canonicalize(volume).unwrap_or_else(|_| volume.clone());
        ensure!(!seen.contains(&path), "{} is named twice", volume.display());
        seen.push(path);
    }
    Ok(())
}

/// Locks all of them, each unlocked by its passphrase. Says what interrupted runs had left.
pub fn begin(
    volume: &Path,
    others: &[PathBuf],
    files: &[PathBuf],
) -> Result<(Enrolment, Vec<Enrolment>)> {
    let count = others.len().saturating_add(1);
    ensure!(
        files.len() <= count,
        "--passphrase-file is given {} times for {count} volume(s)",
        files.len()
    );
    let existing = passphrase::existing(files.first().map(PathBuf::as_path), volume)?;
    let enrolment = sealer::begin(volume, &existing)?;
    say_leftovers(&enrolment);
    let mut further = Vec::with_capacity(others.len());
    for (position, other) in others.iter().enumerate() {
        let file = files.get(position.saturating_add(1));
        let other = begin_other(other, file.map(PathBuf::as_path), &existing)?;
        say_leftovers(&other);
        further.push(other);
    }
    Ok((enrolment, further))
}

/// By its own file, else by the first volume's passphrase, else by what a person types.
fn begin_other(device: &Path, file: Option<&Path>, first: &Passphrase) -> Result<Enrolment> {
    if file.is_some() {
        return Ok(sealer::begin(device, &passphrase::existing(file, device)?)?);
    }
    match sealer::begin(device, first) {
        Err(EnrolmentError::Passphrase(_)) if io::stdin().is_terminal() => {
            Ok(sealer::begin(device, &passphrase::existing(None, device)?)?)
        }
        Err(error @ EnrolmentError::Passphrase(_)) => Err(error).context(
            "the passphrase of the first volume does not open this one: give its own with another --passphrase-file, in the order of the volumes",
        ),
        other => Ok(other?),
    }
}

fn say_leftovers(enrolment: &Enrolment) {
    for leftover in enrolment.removed_leftovers() {
        eprintln!("{}", leftover_sentence(leftover));
    }
}
