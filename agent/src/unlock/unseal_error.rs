//! Why there is no boot secret, in words.

use tpm::TpmError;

use super::{
    ask_pin::NoAnswer, explain::PcrDifference, launch_pcrs::LaunchPcrsError, record::RecordError,
    secret::SecretError,
};

/// Why there is no boot secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// The volume has no usable record.
    #[error("the volume has no usable taoboot record: enroll it with `taoboot enroll`")]
    NoRecords,
    /// All of them are for the other kind of TPM.
    #[error(
        "no record of the volume is for this kind of TPM: those of a TPM 1.2 open nothing on a TPM 2.0 and the other way round; enroll it here with `taoboot enroll`"
    )]
    OtherKindOfTpm,
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
    /// A record that is weaker than the configuration asks for.
    #[error(
        "the measured configuration requires a PIN ([unlock] require = \"tpm+pin\"), and no record of this launch is sealed with one: enroll with `taoboot enroll --pin`"
    )]
    RecordWithoutPin,
    /// A record that asks for what the configuration does not know of.
    #[error(
        "the record of this launch is sealed with a PIN, and the measured configuration does not ask for one: set [unlock] require = \"tpm+pin\" in it and build the image again"
    )]
    PinNotRequired,
    /// Nobody typed one.
    #[error("the TPM gives the disk key with a PIN only: {0}")]
    NoPin(#[source] NoAnswer),
    /// All of them were wrong.
    #[error("{tries} wrong PINs: {last}")]
    WrongPins {
        /// How many.
        tries: usize,
        /// What was wrong with the last one.
        last: String,
    },
    /// The TPM does not even look at one.
    #[error(
        "no PIN is accepted at present, not even the right one: {0}; a recovery key or a passphrase of the volume is not concerned"
    )]
    LockedOut(#[source] TpmError),
    /// The TPM accepted the PIN, and what it released was not sealed with it.
    #[error(
        "the TPM accepted the PIN, but what it released is not encrypted with it: the record is not one that taoboot made"
    )]
    NotOfThisPin,
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
