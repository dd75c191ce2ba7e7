//! Why a token is not used.

/// Why a token is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not a record at all, or a field that cannot be.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// Written by a newer taoboot.
    #[error("the record has format version {0}, this program supports version 1")]
    Version(u64),
    /// Made for another volume, or the volume's header was changed.
    #[error(
        "the record was made for a volume with {what} {enrolled}, this one has {found}: enrol again if you changed it yourself"
    )]
    OtherVolume {
        /// What differs.
        what: &'static str,
        /// Value in the record.
        enrolled: String,
        /// Value in the header.
        found: String,
    },
    /// The keyslot is gone or unusable.
    #[error("the record's keyslot was removed or cannot be used ({0}): enrol again")]
    Keyslot(String),
    /// The authentication code does not match.
    #[error(
        "the record was changed after it was enrolled (its authentication code does not match)"
    )]
    Forged,
    /// Sealed to a policy key, and no launch that this key signed is stored.
    #[error(
        "the record is for launches that its policy key signs, and none is stored: sign one with `taoboot policy-key sign`, store it with `taoboot approve`"
    )]
    NothingApproved,
    /// A signed launch whose policy key no record is sealed to.
    #[error(
        "the approval is signed by a policy key that no record of this volume is sealed to: enroll with `taoboot enroll --policy-key`"
    )]
    UnknownSigner,
}
