//! Do the PCR values of a request follow from the files that it names?
//!
//! The request lists every extend of the launch, and the resident agent computes the registers
//! from it. What tboot, kernel and initramfs put in, it derives from the files that it has read
//! itself. What only the platform knows (SINIT, firmware, policies) it takes as it is said, and
//! writes into the kernel log.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tpm::{PcrIndex, PcrSet, PcrValues};
use txt::hash::HashAlg;

use crate::boot::config::refuse_before_init;

use super::{
    files::ReadFile,
    protocol::{LaunchEvent, Measure, MeasuredFile},
};

/// SINIT's events and those of tboot, whose list holds 32.
const MAX_EVENTS: usize = 64;
/// Longest command line that tboot hashes.
const MAX_CMDLINE: usize = 1023;
const FIRST: u8 = 17;
/// SINIT extends 17 and 18; 19 holds modules only.
const LAST_OF_PLATFORM: u8 = 18;

/// Why the registers do not follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LaunchError {
    /// None, or more than a launch has.
    #[error(
        "a launch has 1 to {MAX_EVENTS} events, the request lists {0}: taoboot reseal and the resident agent must be of the same version"
    )]
    Number(usize),
    /// An event that no launch has.
    #[error("event {place} {what}")]
    Event {
        /// Counted from 0.
        place: usize,
        /// What is wrong.
        what: EventError,
    },
    /// The kernel or tboot is not measured.
    #[error("the launch measures no tboot or no kernel into PCR 17")]
    NoKernel,
    /// A file that the key would not depend on.
    #[error(
        "{0:?} is loaded but not measured: the launch would be the same with any other file in its place"
    )]
    NotMeasured(String),
    /// Another value.
    #[error(
        "PCR {pcr} does not follow from the files: their launch gives {computed}, but {requested} was requested; predict again"
    )]
    Register {
        /// The register.
        pcr: PcrIndex,
        /// Hex.
        computed: String,
        /// Hex, or `nothing`.
        requested: String,
    },
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EventError {
    /// Another register than 17 to 19.
    #[error("extends PCR {0}, which does not belong to a launch")]
    Register(PcrIndex),
    /// A file that is not there.
    #[error("measures file {0}, which the request does not name")]
    NoFile(usize),
    /// A file that is not tboot.
    #[error("measures tboot, but that file is not tboot")]
    NotTboot,
    /// tboot with its command line cannot be hashed.
    #[error("measures tboot: {0}")]
    Tboot(String),
    /// Too long, or with a NUL byte.
    #[error("has a command line that tboot does not accept")]
    CommandLine,
    /// The kernel would resume before /init has closed the latch.
    #[error("has a command line that /init refuses: {0}")]
    Resumes(String),
    /// Only the first event has a register's first value.
    #[error("sets a register, which only the first one does")]
    Sets,
    /// PCR 19.
    #[error("has no file: only files are measured into PCR {0}")]
    FilesOnly(PcrIndex),
    /// Another length, or not hex digits.
    #[error("has no SHA-256 digest")]
    Digest,
}

/// PCR 17 to 19 of these extends: register, digest, and whether the digest is the register's
/// first value instead of something to be extended.
#[must_use]
pub fn replay<'e>(
    events: impl Iterator<Item = (PcrIndex, &'e [u8], bool)>,
) -> BTreeMap<PcrIndex, Vec<u8>> {
    let zeros = PcrSet::LAUNCH.iter().map(|pcr| (pcr, vec![0; 32]));
    let mut registers: BTreeMap<PcrIndex, Vec<u8>> = zeros.collect();
    for (pcr, digest, initial) in events {
        if let Some(value) = registers.get_mut(&pcr) {
            *value = if initial {
                digest.to_vec()
            } else {
                Sha256::new()
                    .chain_update(&value)
                    .chain_update(digest)
                    .finalize()
                    .to_vec()
            };
        }
    }
    registers
}

/// Checks form and outcome: the events lead to `pcrs`, with the digests of these files. Only a
/// register that the present records (`approved`) do not name may be left out: the owner chose so.
///
/// # Errors
/// One sentence that names the register or the file.
pub(super) fn check(
    events: &[LaunchEvent],
    named: &[MeasuredFile],
    read: &[ReadFile],
    pcrs: &PcrValues,
    approved: Option<&PcrValues>,
) -> Result<(), LaunchError> {
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(LaunchError::Number(events.len()));
    }
    let mut digests = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let digest = digest(place, event, read);
        digests.push(digest.map_err(|what| LaunchError::Event { place, what })?);
    }
    check_measured(events, named, read)?;
    let extends = events.iter().zip(&digests).map(|(event, digest)| {
        let initial = matches!(event.measured, Measure::Initial { .. });
        (event.pcr, digest.as_slice(), initial)
    });
    for (pcr, value) in replay(extends) {
        let asked = pcrs.get(pcr);
        let chosen = approved.is_some_and(|approved| approved.get(pcr).is_none());
        if asked.is_none() && chosen {
            continue;
        }
        if asked != Some(value.as_slice()) {
            return Err(LaunchError::Register {
                pcr,
                computed: hex::encode(value),
                requested: asked.map_or("nothing".into(), hex::encode),
            });
        }
    }
    Ok(())
}

fn digest(place: usize, event: &LaunchEvent, read: &[ReadFile]) -> Result<Vec<u8>, EventError> {
    if !PcrSet::LAUNCH.contains(event.pcr) {
        return Err(EventError::Register(event.pcr));
    }
    let file = |number: usize| read.get(number).ok_or(EventError::NoFile(number));
    match &event.measured {
        Measure::Tboot {
            file: number,
            cmdline,
        } => {
            let mle = file(*number)?.mle.as_ref();
            let mle = mle.ok_or(EventError::NotTboot)?;
            let hash = mle.hash(HashAlg::Sha256, cmdline.as_bytes());
            let hash = hash.map_err(|error| EventError::Tboot(error.to_string()))?;
            Ok(hash.as_bytes().to_vec())
        }
        Measure::Module {
            file: number,
            cmdline,
        } => {
            if cmdline.len() > MAX_CMDLINE || cmdline.contains('\0') {
                return Err(EventError::CommandLine);
            }
            refuse_before_init(cmdline).map_err(|error| EventError::Resumes(error.to_string()))?;
            let content = file(*number)?.content;
            let cmdline = Sha256::digest(cmdline.as_bytes());
            Ok(Sha256::new()
                .chain_update(cmdline)
                .chain_update(content)
                .finalize()
                .to_vec())
        }
        Measure::Platform { sha256, .. } | Measure::Initial { sha256, .. } => {
            let first = place == 0 && event.pcr.get() == FIRST;
            if matches!(event.measured, Measure::Initial { .. }) && !first {
                return Err(EventError::Sets);
            }
            if event.pcr.get() > LAST_OF_PLATFORM {
                return Err(EventError::FilesOnly(event.pcr));
            }
            match hex::decode(sha256) {
                Ok(digest) if digest.len() == 32 => Ok(digest),
                _ => Err(EventError::Digest),
            }
        }
    }
}

/// tboot and module 0 are in PCR 17 whatever the policies say; and a file that stands in the
/// request is measured, unless tboot takes it away before it measures.
fn check_measured(
    events: &[LaunchEvent],
    named: &[MeasuredFile],
    read: &[ReadFile],
) -> Result<(), LaunchError> {
    let in_first = |wanted: fn(&Measure) -> bool| {
        events
            .iter()
            .any(|event| event.pcr.get() == FIRST && wanted(&event.measured))
    };
    if !in_first(|m| matches!(m, Measure::Tboot { .. }))
        || !in_first(|m| matches!(m, Measure::Module { .. }))
    {
        return Err(LaunchError::NoKernel);
    }
    for (number, (file, read)) in named.iter().zip(read).enumerate() {
        let measured = events.iter().any(|event| match &event.measured {
            Measure::Tboot { file, .. } | Measure::Module { file, .. } => *file == number,
            Measure::Platform { .. } | Measure::Initial { .. } => false,
        });
        if !measured && !read.taken_away {
            return Err(LaunchError::NotMeasured(
                file.path.chars().take(200).collect(),
            ));
        }
    }
    Ok(())
}
