//! Asks the TPM for the boot secret, and says in words why it is not given.

use tpm::{Bank, Name, PcrIndex, PcrSet, PcrValues, Tpm, TpmError};
use zeroize::Zeroizing;

use super::{
    explain::{PcrDifference, explain},
    launch_pcrs::{LaunchPcrs, LaunchPcrsError},
    record::{RecordError, SealedRecord},
    secret::{BootSecret, SecretError},
};

/// What the measured configuration says of the secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pinned<'a> {
    /// The only storage root key it may be sealed under.
    pub srk: Option<&'a Name>,
    /// The only volume secret it may be, by [`BootSecret::id`].
    pub secret_id: Option<&'a str>,
}

/// Why there is no boot secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// The volume has no usable record.
    #[error("the volume has no usable taoboot record: enroll it with `taoboot enroll`")]
    NoRecords,
    /// No measured launch.
    #[error(
        "this is not a measured launch (PCR 17-19 are all ones): boot through tboot on a machine with Intel TXT enabled; the TPM gives the disk key to measured launches only"
    )]
    NoLaunch,
    /// A launch that wrote nothing into a register.
    #[error("the TPM does not release the disk key to this launch: {0}")]
    Unmeasured(LaunchPcrsError),
    /// The latch is closed.
    #[error(
        "the latch is closed: PCR 15 was extended earlier in this boot, so the TPM gives the disk key only after a reset"
    )]
    LatchClosed,
    /// The launch is another than the approved ones.
    #[error("the launch is not approved{}: {}", nearest(.label), joined(.differences))]
    NotApproved {
        /// Label of the record that comes nearest.
        label: String,
        /// What differs from it.
        differences: Vec<PcrDifference>,
    },
    /// The TPM refused although the PCRs are right.
    #[error("the PCRs are the approved ones, but the TPM did not release the disk key: {0}")]
    Tpm(#[source] TpmError),
    /// What was released is not a boot secret.
    #[error("what the TPM released is not a boot secret: {0}")]
    NotASecret(#[source] SecretError),
    /// Another secret than the one that is pinned.
    #[error(
        "the TPM released another boot secret ({found}) than the measured configuration pins ({pinned}): this is not the volume that the image was built for"
    )]
    OtherSecret {
        /// In the configuration.
        pinned: String,
        /// Of the released secret.
        found: String,
    },
    /// The record was tampered with.
    #[error(transparent)]
    Record(RecordError),
}

fn nearest(label: &str) -> String {
    if label.is_empty() {
        String::new()
    } else {
        format!(" (nearest: {label})")
    }
}

fn joined(differences: &[PcrDifference]) -> String {
    let sentences: Vec<String> = differences.iter().map(PcrDifference::to_string).collect();
    sentences.join("; ")
}

/// The registers that decide about these records: those they name, the launch's and the latch.
pub fn deciding_pcrs(records: &[SealedRecord]) -> PcrSet {
    let named = records
        .iter()
        .flat_map(|record| record.expected().set().iter());
    named
        .chain(PcrSet::LAUNCH.iter())
        .chain([PcrIndex::LATCH])
        .collect()
}

/// The records that would open in this state, or the reason why none does: first of all the
/// state must be one that a launch has written. Asks no TPM.
pub fn matching<'r>(
    records: &'r [SealedRecord],
    seen: &PcrValues,
) -> Result<Vec<&'r SealedRecord>, UnsealError> {
    if records.is_empty() {
        return Err(UnsealError::NoRecords);
    }
    match LaunchPcrs::check(seen) {
        Ok(()) => {}
        Err(LaunchPcrsError::NoLaunch) => return Err(UnsealError::NoLaunch),
        Err(error) => return Err(UnsealError::Unmeasured(error)),
    }
    let differences = |record: &SealedRecord| explain(record.expected(), seen, record.components());
    let matching: Vec<_> = records
        .iter()
        .filter(|record| differences(record).is_empty())
        .collect();
    if !matching.is_empty() {
        return Ok(matching);
    }
    // The record with the fewest differences is most likely the one that was meant.
    let nearest = records.iter().map(|record| (record, differences(record)));
    let Some((record, differences)) = nearest.min_by_key(|(_, found)| found.len()) else {
        return Err(UnsealError::NoRecords);
    };
    if differences
        .iter()
        .all(|difference| difference.pcr == PcrIndex::LATCH)
    {
        return Err(UnsealError::LatchClosed);
    }
    Err(UnsealError::NotApproved {
        label: record.label().to_owned(),
        differences,
    })
}

/// What asking for the boot secret gave.
pub struct Unsealing<'r> {
    /// The registers, read once: the answer was decided on these values.
    pub seen: PcrValues,
    /// The secret with the record that held it, or why there is none.
    pub released: Result<(BootSecret, &'r SealedRecord), UnsealError>,
}

/// Gets the boot secret from the TPM: reads the PCRs once, picks the record of this launch
/// (others are not tried), unseals it as pinned and verifies the record.
///
/// Where two records fit the launch and the first is damaged, the next is tried.
///
/// # Errors
/// When the PCRs cannot be read. That the TPM gives no secret is an answer.
pub fn unseal<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    pinned: Pinned<'_>,
) -> Result<Unsealing<'r>, TpmError> {
    let seen = tpm.pcr_read(Bank::Sha256, deciding_pcrs(records))?;
    let released = release(tpm, records, &seen, pinned);
    Ok(Unsealing { seen, released })
}

fn release<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    seen: &PcrValues,
    pinned: Pinned<'_>,
) -> Result<(BootSecret, &'r SealedRecord), UnsealError> {
    let mut first_error = None;
    for record in matching(records, seen)? {
        match unseal_one(tpm, record, pinned) {
            Ok(secret) => return Ok((secret, record)),
            Err(error) => first_error.get_or_insert(error),
        };
    }
    Err(first_error.unwrap_or(UnsealError::NoRecords))
}

fn unseal_one(
    tpm: &mut dyn Tpm,
    record: &SealedRecord,
    pinned: Pinned<'_>,
) -> Result<BootSecret, UnsealError> {
    let bytes: Zeroizing<Vec<u8>> = tpm
        .unseal(record.sealed(), record.approval(), pinned.srk)
        .map_err(UnsealError::Tpm)?;
    let secret = BootSecret::from_bytes(&bytes).map_err(UnsealError::NotASecret)?;
    if let Some(pinned) = pinned.secret_id
        && pinned != secret.id()
    {
        return Err(UnsealError::OtherSecret {
            pinned: pinned.to_owned(),
            found: secret.id(),
        });
    }
    record
        .verify_mac(secret.volume())
        .map_err(UnsealError::Record)?;
    Ok(secret)
}
