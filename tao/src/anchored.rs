//! One change of a file whose old copies must be worthless: a file on a disk that anybody may
//! put back, and an anchor, a counter elsewhere that only goes up.
//!
//! Each file is dated with an even number. To change it, the anchor goes from n (even) to n+1,
//! which *claims* the date n+2 for this writer; the file dated n+2 is written; the anchor goes to
//! n+2; and only then is anybody told. A file dated d is accepted while the anchor stands at
//! d-1, d or d+1: a kill at any step leaves one that is.
//!
//! So after a kill several files may be accepted, and who owns the disk chooses. To finish the
//! write of another, dated as that one dated it, would leave two files of one date that differ
//! (whoever keeps the other copy can exchange them later). Therefore **nobody is served
//! before a whole change of one's own**: each start moves the anchor on to a claim that only
//! it has made, writes what it found under it, and completes it. Each step of the anchor is
//! checked to be one's own. The exploration in `anchored_tests` goes through every state that kills,
//! copies and steps of the anchor by others can lead to.

/// A file, and a counter out of the disk's reach.
pub trait Medium {
    /// What is in the file, besides its date.
    type Contents;
    /// Why the disk or the counter failed.
    type Error;

    /// The anchor's value; `None` before it is made.
    ///
    /// # Errors
    /// When it cannot be read.
    fn value(&mut self) -> Result<Option<u64>, Self::Error>;
    /// Makes the anchor, with any value.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&mut self) -> Result<u64, Self::Error>;
    /// Adds one, whatever others do at the same time, and gives the new value (or a higher one, if
    /// others have added too).
    ///
    /// # Errors
    /// When it cannot be changed.
    fn increment(&mut self) -> Result<u64, Self::Error>;
    /// Replaces the file as a whole. When this returns it outlives a power cut.
    ///
    /// # Errors
    /// When it cannot be written; then the old or the new one is there.
    fn write(&mut self, date: u64, contents: &Self::Contents) -> Result<(), Self::Error>;
}

/// Why a file is not accepted, or not written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused<E> {
    /// An old copy, or one of elsewhere.
    #[error("dated {found}, but its counter stands at {expected}: put the newest copy back")]
    RolledBack {
        /// Its date; 0: there is no file.
        found: u64,
        /// Where the anchor stands.
        expected: u64,
    },
    /// The file was anchored, and the anchor is gone.
    #[error("its counter is gone")]
    Gone,
    /// Somebody else has moved the anchor.
    #[error("its counter stands at {found} instead of {expected}: something else has changed it")]
    Moved {
        /// Where it stands.
        found: u64,
        /// Where it should stand.
        expected: u64,
    },
    /// The anchor is at its end.
    #[error("its counter is at its end")]
    End,
    /// The disk or the anchor failed.
    #[error("{0}")]
    Medium(E),
}

impl<E> From<E> for Refused<E> {
    fn from(error: E) -> Self {
        Self::Medium(error)
    }
}

/// Where the anchor stands while a file is the only one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// There is neither anchor nor file: nobody was ever told anything.
    Unmade,
    /// At this even number.
    At(u64),
}

/// Decides whether the file that was found, with its date (`None`: there is none), is the newest, and
/// makes it the only one.
///
/// # Errors
/// See [`Refused`]. Nothing that was found may be used then.
pub fn open<M: Medium>(
    medium: &mut M,
    found: Option<u64>,
    contents: &M::Contents,
) -> Result<Settled, Refused<M::Error>> {
    let Some(mut value) = medium.value()? else {
        return match found {
            None | Some(0) => Ok(Settled::Unmade),
            Some(_) => Err(Refused::Gone),
        };
    };
    let date = found.unwrap_or(0);
    if !accepted(date, value) {
        return Err(Refused::RolledBack {
            found: date,
            expected: value,
        });
    }
    if value == 0 {
        // Nothing is written before the first claim.
        return Ok(Settled::At(0));
    }
    if !value.is_multiple_of(2) {
        // Another's claim. There must be a file for the number after it, whatever happened
        // to that one's; it is not served yet.
        let next = after(value)?;
        medium.write(next, contents)?;
        value = step(medium, value)?;
    }
    change(medium, Settled::At(value), contents)
}

/// Is a file of this date good while the anchor stands there?
fn accepted(date: u64, value: u64) -> bool {
    date.abs_diff(value) <= 1
}

/// Replaces the file. When this returns the new one is the only one that counts.
///
/// # Errors
/// See [`Refused`]. What is on the disk then may count or not: only [`open`] can tell.
pub fn change<M: Medium>(
    medium: &mut M,
    settled: Settled,
    contents: &M::Contents,
) -> Result<Settled, Refused<M::Error>> {
    let claim = match (settled, medium.value()?) {
        (Settled::Unmade, None) => match medium.create()? {
            value if value.is_multiple_of(2) => step(medium, value)?,
            value => value,
        },
        (Settled::At(value), Some(found)) if found == value => step(medium, value)?,
        (Settled::At(_), None) => return Err(Refused::Gone),
        (settled, Some(found)) => {
            let expected = match settled {
                Settled::Unmade => 0,
                Settled::At(value) => value,
            };
            return Err(Refused::Moved { found, expected });
        }
    };
    medium.write(after(claim)?, contents)?;
    Ok(Settled::At(step(medium, claim)?))
}

fn after<E>(value: u64) -> Result<u64, Refused<E>> {
    value.checked_add(1).ok_or(Refused::End)
}

/// One step, which must be our own: a claim that somebody else made may have been used.
fn step<M: Medium>(medium: &mut M, from: u64) -> Result<u64, Refused<M::Error>> {
    let expected = after(from)?;
    let found = medium.increment()?;
    if found != expected {
        return Err(Refused::Moved { found, expected });
    }
    Ok(found)
}
