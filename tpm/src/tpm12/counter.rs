//! Monotonic counters: numbers in the TPM that only grow.
//!
//! A TPM 1.2 has at least four of them, and increments one only between two boots: the first that is
//! incremented. Source: TPM Main, Part 2, section 7.4; Part 3, section 25.

use super::{
    Secret, Tpm12, Tpm12Error,
    auth::{Entity, Use},
    codec::{Malformed, Reader},
    command::{Command, Ordinal, bad_answer},
};

const CREATE_COUNTER: Ordinal = Ordinal(0xdc, "TPM_CreateCounter");
const INCREMENT_COUNTER: Ordinal = Ordinal(0xdd, "TPM_IncrementCounter");
const READ_COUNTER: Ordinal = Ordinal(0xde, "TPM_ReadCounter");
const RELEASE_COUNTER: Ordinal = Ordinal(0xdf, "TPM_ReleaseCounter");
const RELEASE_COUNTER_OWNER: Ordinal = Ordinal(0xe0, "TPM_ReleaseCounterOwner");

/// TPM_TAG_COUNTER_VALUE.
const TAG: u16 = 0x000e;

/// What a counter is and where it stands: TPM_COUNTER_VALUE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterValue {
    /// Four letters that its maker gave it.
    pub label: [u8; 4],
    /// The number.
    pub value: u32,
}

impl CounterValue {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.tag("TPM_COUNTER_VALUE", TAG)?;
        Ok(Self {
            label: reader.array("label")?,
            value: reader.u32("counter")?,
        })
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let counter = Self::read(&mut reader)?;
        reader.finish("counter")?;
        Ok(counter)
    }
}

impl Tpm12 {
    /// Makes a counter, which begins above all others that there ever were; gives its handle.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_FAIL` for a wrong owner's secret, `RESOURCES` where there are too many.
    pub fn counter_create(
        &mut self,
        owner: &Secret,
        label: [u8; 4],
        secret: &Secret,
    ) -> Result<(u32, CounterValue), Tpm12Error> {
        let bad = bad_answer(CREATE_COUNTER);
        let mut session = self.open_osap(Entity::Owner, owner)?;
        let parameters = [&session.encrypt(secret)[..], &label].concat();
        let command = Command::new(CREATE_COUNTER, &[], &parameters);
        let answer = self.run_with(command, &mut [Use::last(&mut session)])?;
        let mut reader = Reader::new(&answer.parameters);
        let handle = reader.u32("countID").map_err(&bad)?;
        let counter = CounterValue::read(&mut reader).map_err(&bad)?;
        reader.finish("counter").map_err(&bad)?;
        if counter.label != label {
            return Err(bad(Malformed("the counter has another label".to_owned())));
        }
        Ok((handle, counter))
    }

    /// Adds one. The answer has an HMAC of the counter's own secret.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_FAIL`, `BAD_COUNTER` where there is none or another was incremented since
    /// the machine started, `RETRY` where it was incremented too short a while ago.
    pub fn counter_increment(
        &mut self,
        handle: u32,
        secret: &Secret,
    ) -> Result<CounterValue, Tpm12Error> {
        let body = self.run_oiap(INCREMENT_COUNTER, &handle.to_be_bytes(), secret)?;
        CounterValue::parse(&body).map_err(bad_answer(INCREMENT_COUNTER))
    }

    /// Where it stands. Outside of a transport session the answer has no HMAC: nothing is decided on it.
    ///
    /// # Errors
    /// What the TPM says: `BAD_COUNTER`.
    pub fn counter_read(&mut self, handle: u32) -> Result<CounterValue, Tpm12Error> {
        let body = self.run(READ_COUNTER, &[&handle.to_be_bytes()])?;
        CounterValue::parse(&body).map_err(bad_answer(READ_COUNTER))
    }

    /// Ends a counter, with its own secret.
    ///
    /// # Errors
    /// What the TPM says: `AUTH_FAIL`, `BAD_COUNTER`.
    pub fn counter_release(&mut self, handle: u32, secret: &Secret) -> Result<(), Tpm12Error> {
        self.run_oiap(RELEASE_COUNTER, &handle.to_be_bytes(), secret)
            .map(drop)
    }

    /// Ends a counter, with the owner's secret.
    ///
    /// # Errors
    /// As [`Tpm12::counter_release`].
    pub fn counter_release_as_owner(
        &mut self,
        handle: u32,
        owner: &Secret,
    ) -> Result<(), Tpm12Error> {
        self.run_oiap(RELEASE_COUNTER_OWNER, &handle.to_be_bytes(), owner)
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_cut_off_nowhere() {
        let bytes = [0, 0x0e, b't', b'a', b'o', b'1', 0, 0, 0, 9];
        let expected = CounterValue {
            label: *b"tao1",
            value: 9,
        };
        assert_eq!(CounterValue::parse(&bytes), Ok(expected));
        for end in 0..bytes.len() {
            assert!(CounterValue::parse(&bytes[..end]).is_err());
        }
    }
}
