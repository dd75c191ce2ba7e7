//! The PIN of an enrolment.

use zeroize::Zeroizing;

use super::{enroll::Enrolment, error::EnrolmentError};
use crate::unlock::{
    find_records::find_enrolled, header::CheckedHeader, pin::PinKey, secret::VolumeSecret,
};

impl Enrolment {
    /// What is enrolled from now on asks for this PIN.
    #[must_use]
    pub fn with_pin(mut self, pin: Option<PinKey>) -> Self {
        self.pin = pin;
        self
    }

    /// What proves to the resident agent that the volume's key is known; `None` where no record's secret is.
    pub fn pin_change_key(&self) -> Result<Option<Zeroizing<[u8; 32]>>, EnrolmentError> {
        Ok(self
            .known_secret()?
            .map(|(_, secret)| secret.pin_change_key()))
    }

    /// Is any record of the secret sealed with a PIN?
    pub(super) fn asks_for_pin(&self, secret: &VolumeSecret) -> Result<bool, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        Ok(find_enrolled(&header).into_iter().any(|(_, record)| {
            record.is_ok_and(|record| {
                record.parts().pin.is_some() && record.verify_mac(secret).is_ok()
            })
        }))
    }
}
