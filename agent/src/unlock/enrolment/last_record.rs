//! Is the last record of a secret about to go? Images that pin the secret then open the volume with nothing,
//! not with the right passphrase either (`prove_volume`).

use super::{
    enroll::{Enrolment, Target},
    error::EnrolmentError,
};
use crate::unlock::{
    find_records::{TokenId, find_enrolled},
    header::CheckedHeader,
    proof::genuine,
    record::EnrolledRecord,
};

/// Are there records of the secret, and do all of them go? A record that is not genuine counts as none: it
/// proves nothing of what the others are needed for.
pub fn last_record_goes(
    header: &CheckedHeader,
    secret_id: &str,
    is_genuine: impl Fn(TokenId, &EnrolledRecord) -> bool,
    goes: impl Fn(TokenId, &EnrolledRecord) -> bool,
) -> bool {
    let mut any = false;
    for (token, record) in find_enrolled(header) {
        // One that does not belong to this header proves nothing either.
        let Ok(record) = record else { continue };
        if record.secret_id() != secret_id || !is_genuine(token, &record) {
            continue;
        }
        if !goes(token, &record) {
            return false;
        }
        any = true;
    }
    any
}

/// Would a new secret for this target remove the last record of another one? Without the volume's key a
/// record's form has to do.
///
/// # Errors
/// There is no policy for the target.
pub fn new_secret_ends(
    header: &CheckedHeader,
    target: &Target,
    secret_id: &str,
) -> Result<bool, EnrolmentError> {
    let policy = target.policy()?;
    Ok(last_record_goes(
        header,
        secret_id,
        |_, _| true,
        |_, record| record.parts().policy == policy,
    ))
}

impl Enrolment {
    /// The same by the records that the volume's key proves.
    ///
    /// # Errors
    /// There is no policy for the target, or the header cannot be read any more.
    pub fn new_secret_ends(
        &self,
        target: &Target,
        secret_id: &str,
    ) -> Result<bool, EnrolmentError> {
        let policy = target.policy()?;
        let header = CheckedHeader::read(&self.device)?;
        Ok(last_record_goes(
            &header,
            secret_id,
            |_, record| genuine(record, &header, &self.volume_key).is_some(),
            |_, record| record.parts().policy == policy,
        ))
    }
}
