//! Which devices make an array, and whether they are enough.
//!
//! The kernel believes the superblock with the highest event count; so does this, after it has seen that no
//! two devices claim one slot and that nothing contradicts it. A device that is more than one event behind
//! was away: it is [`Array::stale`], and the array is degraded without it, which the caller has to allow.

use super::{
    enough,
    read::Candidate,
    superblock::{ArrayId, Role, Superblock},
};

/// A member that is up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The device.
    pub device: String,
    /// Its slot.
    pub slot: u32,
}

/// What is there of an array: enough to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The newest superblock. The kernel is told its format, and the members; it reads the rest itself.
    pub superblock: Superblock,
    /// By slot.
    pub members: Vec<Member>,
    /// Devices that wait for a member to fail, and those that hold a journal.
    pub others: Vec<String>,
    /// Devices that were away, or were taken out: not to be added.
    pub stale: Vec<String>,
    /// Slots without a member.
    pub missing: Vec<u32>,
}

impl Array {
    /// Has each slot its member?
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// An array that is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// No device says that it belongs to it.
    #[error("no device belongs to the md array {0}")]
    Absent(ArrayId),
    /// No device says that it belongs to it, and one cannot be understood.
    #[error("no device belongs to the md array {array}, and of {device}: {why}")]
    Unreadable {
        /// What was wanted.
        array: ArrayId,
        /// A device with a damaged superblock.
        device: String,
        /// What is wrong with it.
        why: String,
    },
    /// A copy, or a second set of members.
    #[error(
        "{one} and {other} both say that they are {what} of the md array {array}: one is a copy, or was made to look like it"
    )]
    Twice {
        /// Array.
        array: ArrayId,
        /// A slot or a number.
        what: String,
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// Members of one array agree on what it is.
    #[error(
        "{device} disagrees with {newest} about the {what} of the md array {array}: it is not from this array"
    )]
    Disagrees {
        /// Array.
        array: ArrayId,
        /// The device.
        device: String,
        /// The device with the newest superblock.
        newest: String,
        /// What they disagree about.
        what: &'static str,
    },
    /// An array changes its shape: what is where is in a state that only the kernel knows.
    #[error("the md array {0} is being reshaped: let mdadm finish it")]
    Reshaping(ArrayId),
    /// Without its journal, blocks that were acknowledged are lost.
    #[error("the journal of the md array {0} is missing")]
    Journal(ArrayId),
    /// The kernel may know it; what it means for the members is not known here.
    #[error("the md array {array} has features {features:#x}, which are not known")]
    Features {
        /// Array.
        array: ArrayId,
        /// Bits.
        features: u32,
    },
    /// Too many are missing.
    #[error("the md array {array} ({level}) has {present} of {members} members, which is not enough{}", stale_words(.stale))]
    TooFew {
        /// Array.
        array: ArrayId,
        /// Level.
        level: String,
        /// How many are up to date.
        present: usize,
        /// How many it has when complete.
        members: u32,
        /// Devices that were away.
        stale: Vec<String>,
    },
}

fn stale_words(stale: &[String]) -> String {
    if stale.is_empty() {
        String::new()
    } else {
        format!(" (out of date: {})", stale.join(", "))
    }
}

/// A device that says that it belongs to the array.
type Claim<'c> = (&'c str, &'c Superblock);

/// Finds the array of a UUID.
///
/// # Errors
/// If it is not there, contradicts itself, or has too few members; the error names devices.
pub fn array(wanted: ArrayId, candidates: &[Candidate]) -> Result<Array, ArrayError> {
    let claims: Vec<Claim<'_>> = candidates
        .iter()
        .flat_map(|candidate| {
            let found = candidate.superblocks.iter();
            found.map(|superblock| (candidate.device.as_str(), superblock))
        })
        .filter(|(_, superblock)| superblock.array == wanted)
        .collect();
    let newest = claims
        .iter()
        .max_by_key(|(_, superblock)| superblock.events);
    let Some(newest) = newest.copied() else {
        return Err(absent(wanted, candidates));
    };
    check(newest.1)?;
    agree(newest, &claims)?;
    let mut found = Array {
        superblock: newest.1.clone(),
        members: Vec::new(),
        others: Vec::new(),
        stale: Vec::new(),
        missing: Vec::new(),
    };
    for claim in &claims {
        sort(*claim, newest, &mut found)?;
    }
    found.members.sort_by_key(|member| member.slot);
    let has = |slot: &u32| found.members.iter().any(|member| member.slot == *slot);
    found.missing = (0..newest.1.members).filter(|slot| !has(slot)).collect();
    judge(found, &claims)
}

fn absent(array: ArrayId, candidates: &[Candidate]) -> ArrayError {
    let damaged = candidates.iter().find_map(|candidate| {
        let why = candidate.damaged.first()?;
        Some((candidate.device.clone(), why.to_string()))
    });
    match damaged {
        Some((device, why)) => ArrayError::Unreadable { array, device, why },
        None => ArrayError::Absent(array),
    }
}

/// Is it an array that is understood?
fn check(newest: &Superblock) -> Result<(), ArrayError> {
    let array = newest.array;
    if newest.reshaping {
        return Err(ArrayError::Reshaping(array));
    }
    match newest.unknown_features {
        0 => Ok(()),
        features => Err(ArrayError::Features { array, features }),
    }
}

/// All claims are of one array, and each of another device.
fn agree(newest: Claim<'_>, claims: &[Claim<'_>]) -> Result<(), ArrayError> {
    let (newest_device, truth) = newest;
    let disagrees = |device: &str, what| ArrayError::Disagrees {
        array: truth.array,
        device: device.to_owned(),
        newest: newest_device.to_owned(),
        what,
    };
    for (index, (device, own)) in (0_usize..).zip(claims) {
        // What never changes.
        if own.format != truth.format {
            return Err(disagrees(device, "format"));
        }
        if own.created != truth.created {
            return Err(disagrees(device, "time of creation"));
        }
        let earlier = claims.iter().take(index);
        for (other, theirs) in earlier {
            let is_same_device = own.device.is_some() && own.device == theirs.device;
            if is_same_device || own.number == theirs.number {
                return Err(ArrayError::Twice {
                    array: truth.array,
                    what: format!("device number {}", own.number),
                    one: (*other).to_owned(),
                    other: (*device).to_owned(),
                });
            }
        }
        if is_stale(own, truth) {
            continue;
        }
        let shape = |superblock: &Superblock| {
            let Superblock {
                level,
                layout,
                chunk,
                members,
                size,
                ..
            } = superblock;
            (*level, *layout, *chunk, *members, *size)
        };
        if shape(own) != shape(truth) {
            return Err(disagrees(device, "level, layout or size"));
        }
        if own.name != truth.name {
            return Err(disagrees(device, "name"));
        }
    }
    Ok(())
}

/// The kernel's rule: one event may be missing, as a power cut leaves it.
fn is_stale(own: &Superblock, truth: &Superblock) -> bool {
    own.events.saturating_add(1) < truth.events
}

/// Puts a device where it belongs.
fn sort(claim: Claim<'_>, newest: Claim<'_>, found: &mut Array) -> Result<(), ArrayError> {
    let (device, own) = claim;
    let truth = newest.1;
    let role = truth.role_of(own.number);
    if is_stale(own, truth) {
        // Who goes on without a member says so: the newest superblock knows that it is not active.
        if let Role::Active(slot) = role {
            return Err(ArrayError::Disagrees {
                array: truth.array,
                device: device.to_owned(),
                newest: newest.0.to_owned(),
                what: if own.role() == Role::Active(slot) {
                    "number of events"
                } else {
                    "roles"
                },
            });
        }
        found.stale.push(device.to_owned());
        return Ok(());
    }
    match (own.role(), role) {
        (Role::Active(slot), Role::Active(known)) if slot == known && slot < truth.members => {
            if let Some(other) = found.members.iter().find(|member| member.slot == slot) {
                return Err(ArrayError::Twice {
                    array: truth.array,
                    what: format!("member {slot}"),
                    one: other.device.clone(),
                    other: device.to_owned(),
                });
            }
            found.members.push(Member {
                device: device.to_owned(),
                slot,
            });
        }
        (Role::Spare | Role::Journal, Role::Spare | Role::Journal) => {
            found.others.push(device.to_owned());
        }
        // Taken out a moment ago, or never in.
        _ => found.stale.push(device.to_owned()),
    }
    Ok(())
}

/// Are those that are there enough?
fn judge(found: Array, claims: &[Claim<'_>]) -> Result<Array, ArrayError> {
    let superblock = &found.superblock;
    let has_journal = || {
        let mut roles = claims.iter().map(|(device, own)| (device, own.role()));
        roles.any(|(device, role)| {
            role == Role::Journal && found.others.iter().any(|other| other == device)
        })
    };
    if superblock.journal && !has_journal() {
        return Err(ArrayError::Journal(superblock.array));
    }
    if enough::is_enough(superblock, &found.missing) {
        return Ok(found);
    }
    Err(ArrayError::TooFew {
        array: superblock.array,
        level: superblock.level.to_string(),
        present: found.members.len(),
        members: superblock.members,
        stale: found.stale,
    })
}
