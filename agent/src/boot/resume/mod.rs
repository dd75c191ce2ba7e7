//! A hibernation image takes over, or it is settled that none does.
//!
//! The kernel puts an image's memory in the place of its own when it is asked to. It looks at nothing that
//! matters here: neither who started it and the image, nor (on x86-64) whether both are the same kernel. So
//! /init asks it only in a launch that the TPM has approved, after the latch is closed and PCR 15 has told
//! what was opened, for an image on an enrolled volume that carries this very launch's mark ([`verdict`]).
//! PCR 15 is extended once more before: what runs then is not what was launched, and no quote says that it is.
//!
//! An image that is not resumed is put away before anything is mounted: resumed later, it would write over
//! what has changed since. Where nobody can look whether there is one the boot stops. [`proof::NotResumed`] is the proof, and mounting root asks for it.

mod page;
mod place;
pub(super) mod proof;
mod verdict;

use std::{
    fmt::Display,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use storage::swap::{FirstPage, Holds, SwapError};
use tpm::Tpm;

use self::{
    page::{PageError, read},
    place::Area,
    proof::NotResumed,
    verdict::{Launch, Verdict},
};
use super::{
    config::{ResumeSettings, Settings},
    evidence::{Recorded, last_look},
    failure::Failure,
    open::Unlocked,
    phase::Phase,
    report::Outcome,
    state::Boot,
};
use crate::{
    config::device::DeviceSpec,
    unlock::{BootRecordError, BootSecret, record_resume},
};

/// Where the kernel is told what to resume from.
const RESUME: &str = "/sys/power/resume";

/// The image would be there at the next boot, when root has changed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the swap {device} cannot be written, so nothing is mounted: a hibernation image that is resumed after root was mounted destroys it: {source}"
)]
struct NotPutAway {
    device: String,
    source: io::Error,
}

/// There may be an image, and a later boot may find it when root has changed.
#[derive(Debug, thiserror::Error)]
#[error(
    "whether a hibernation image is on the swap {device} cannot be told, so nothing is mounted, as one that is resumed later would destroy root: {why}; if it may be lost add noresume to the kernel command line (it is measured), or boot another entry, and run mkswap before a boot without noresume"
)]
struct NotLookedAt {
    device: DeviceSpec,
    why: String,
}

/// Resumes what is to be resumed. Comes back where nothing is.
pub(super) fn settle(
    unlocked: &mut Unlocked,
    recorded: &Recorded,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<NotResumed, Failure> {
    // The resident process opens the TPM anew.
    let tpm = unlocked.tpm.take();
    let Some(wanted) = &settings.resume else {
        return Ok(NotResumed::settled());
    };
    if let Some(swap) = unlocked.swap.take() {
        boot.warn(format!(
            "swap on {swap}, which the record names, is not used: the measured configuration has [swap] resume = true"
        ));
    }
    let Some((area, page)) = looked_at(&unlocked.mapping, wanted, boot)? else {
        return Ok(NotResumed::settled());
    };
    // Of what the TPM released alone: a passphrase gives the volume's secret as well.
    let secret = unlocked.secret.as_ref().map(BootSecret::volume);
    let launch = Launch::of(secret, recorded.event(), &boot.report.pcrs);
    let verdict = verdict::of(&page, launch.as_ref(), wanted.wanted);
    if let Verdict::Resume = verdict {
        // As before the real init, whose place the image takes.
        last_look(recorded, settings, boot)?;
        let told = tell(tpm).map_err(Failure::of(Phase::Resume))?;
        take_over(&told, &area, boot);
    }
    let put_away = put_away(&area, launch.as_ref()).map_err(Failure::of(Phase::Resume))?;
    match verdict {
        Verdict::Nothing => boot.progress.done(
            Phase::Resume,
            &format!("no hibernation image on {}", area.node.display()),
        ),
        Verdict::PutAway(why) => boot.warn(format!(
            "the hibernation image on {} is not resumed and is gone: {why}",
            area.node.display()
        )),
        Verdict::Resume => {
            // PCR 15 fits no host's event any more.
            unlocked.secret = None;
            let why = if put_away {
                "it did not even take its signature"
            } else {
                "its log says why"
            };
            boot.warn(format!(
                "the kernel did not resume the hibernation image on {} ({why}): the machine boots anew, and has no Tao host until its next boot",
                area.node.display()
            ));
        }
    }
    release(area, boot);
    Ok(NotResumed::settled())
}

/// The swap and its first page; `None` where there is no image, or none that this boot cares for.
fn looked_at(
    mapping: &Path,
    wanted: &ResumeSettings,
    boot: &mut Boot,
) -> Result<Option<(Area, FirstPage)>, Failure> {
    match place::find(mapping, &wanted.device, &boot.further) {
        Ok(area) => first_page(area, wanted, boot),
        Err(error) => unseen(wanted, &error, boot),
    }
}

fn first_page(
    area: Area,
    wanted: &ResumeSettings,
    boot: &mut Boot,
) -> Result<Option<(Area, FirstPage)>, Failure> {
    let error = match read(&area.node) {
        Ok(page) => return Ok(Some((area, page))),
        Err(error) => error,
    };
    let why = format!(
        "{} is not swap for hibernation: {error}",
        area.node.display()
    );
    // It may be root, which is mapped later.
    release(area, boot);
    match error {
        // The kernel would not find an image there either.
        PageError::NotSwap(SwapError::NoSwap) => {
            boot.warn(format!("nothing is resumed: {why}"));
            Ok(None)
        }
        PageError::NotSwap(SwapError::Short(_)) | PageError::Unreadable(_) => {
            unseen(wanted, &why, boot)
        }
    }
}

/// Nobody has looked at the image: only who gave it up by `noresume` has root mounted all the same.
fn unseen<T>(
    wanted: &ResumeSettings,
    why: &dyn Display,
    boot: &mut Boot,
) -> Result<Option<T>, Failure> {
    if wanted.wanted {
        return Err(Failure::of(Phase::Resume)(NotLookedAt {
            device: wanted.device.clone(),
            why: why.to_string(),
        }));
    }
    boot.warn(format!(
        "a hibernation image may still be on the swap {}, which was not looked at: {why}; run mkswap on it before a boot without noresume, which would resume it over the changed root",
        wanted.device
    ));
    Ok(None)
}

fn release(area: Area, boot: &mut Boot) {
    if let Err(error) = area.release() {
        // lvm2 finds it as it would have made it itself.
        boot.warn(error.to_string());
    }
}

/// Proof that PCR 15 tells that what runs is not what was launched.
struct Told(());

/// Why it does not.
#[derive(Debug, thiserror::Error)]
enum TellError {
    /// What approved the launch is not there any more.
    #[error("the TPM that opened the volume cannot be told of the resume, so there is none")]
    NoTpm,
    #[error(transparent)]
    Record(#[from] BootRecordError),
}

/// Extends PCR 15 once more.
fn tell(tpm: Option<impl Tpm>) -> Result<Told, TellError> {
    record_resume(&mut tpm.ok_or(TellError::NoTpm)?)?;
    Ok(Told(()))
}

/// Has the kernel take the image. It comes back only where the kernel does not.
fn take_over(_told: &Told, area: &Area, boot: &mut Boot) {
    boot.progress.done(
        Phase::Resume,
        &format!("resuming from {}", area.node.display()),
    );
    boot.report.outcome = Outcome::Resuming;
    boot.report
        .set_times(boot.progress.phases(), boot.progress.elapsed());
    boot.send_report();
    let (major, minor) = area.number;
    if let Err(error) = fs::write(RESUME, format!("{major}:{minor}")) {
        boot.warn(format!("{RESUME}: {error}"));
    }
    boot.report.outcome = Outcome::Failed;
}

/// Takes away what image there is still, and leaves the mark of this launch for one that is made from now
/// on; none where nobody approved it. Was there one?
fn put_away(area: &Area, launch: Option<&Launch>) -> Result<bool, NotPutAway> {
    let failed = |source| NotPutAway {
        device: area.node.display().to_string(),
        source,
    };
    // The kernel may have changed it.
    let page = read(&area.node).map_err(|error| failed(io::Error::other(error)))?;
    let had_image = page.holds() != Holds::Swap;
    let wanted = page
        .clone()
        .without_image()
        .marked(launch.map(Launch::mark));
    if wanted != page {
        let file = OpenOptions::new().write(true).open(&area.node);
        file.and_then(|file| {
            file.write_all_at(wanted.bytes(), 0)?;
            file.sync_data()
        })
        .map_err(failed)?;
    }
    Ok(had_image)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
