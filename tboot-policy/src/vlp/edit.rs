//! Changing a policy: entries and hashes added and removed as tboot's own `tb_polgen` does.

use tpm::pcr::PcrIndex;
use txt::hash::Digest;

use super::{Check, Entry, Object, Policy, PolicyType, VlpError};

/// Something that is to be removed and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// No entry for the object.
    #[error("the policy has no entry for {0}: see `tboot-policy show`")]
    NoEntry(Object),
    /// An entry with fewer hashes.
    #[error(
        "the entry for {object} has {found} hashes, so that there is no hash {position} (counted from 0)"
    )]
    NoHash {
        /// The entry's object.
        object: Object,
        /// How many hashes it has.
        found: usize,
        /// The position that was asked for.
        position: usize,
    },
}

impl Policy {
    /// Sets what tboot does on a mismatch.
    pub const fn set_policy_type(&mut self, policy_type: PolicyType) {
        self.policy_type = policy_type;
    }

    /// Sets the control field; bit 0 is [`Policy::EXTEND_PCR17`].
    pub const fn set_control(&mut self, control: u32) {
        self.control = control;
    }

    /// Allows one more hash for an object (`Some`), or any content (`None`). An entry that names
    /// exactly this object is changed, keeping its hashes; otherwise one is added behind the others.
    /// Returns whether an entry was changed.
    ///
    /// # Errors
    /// The policy would be longer than tboot reads, or the hash is of another algorithm. The policy
    /// is unchanged then.
    pub fn allow(
        &mut self,
        object: Object,
        pcr: Option<PcrIndex>,
        hash: Option<Digest>,
    ) -> Result<bool, VlpError> {
        let at = self.position(object).ok();
        self.allow_at(at, object, pcr, hash)?;
        Ok(at.is_some())
    }

    /// The same for the entry that stands at a place, from 0; `None` adds one.
    pub fn allow_at(
        &mut self,
        at: Option<usize>,
        object: Object,
        pcr: Option<PcrIndex>,
        hash: Option<Digest>,
    ) -> Result<(), VlpError> {
        let before = self.entries.clone();
        let check = match hash {
            Some(_) => Check::Image,
            None => Check::Any,
        };
        match at.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => {
                entry.pcr = pcr;
                entry.check = check;
                entry.hashes.extend(hash);
            }
            None => self.entries.push(Entry {
                check,
                hashes: hash.into_iter().collect(),
                ..Entry::measure(object, pcr)
            }),
        }
        if let Err(error) = self.check() {
            self.entries = before;
            return Err(error);
        }
        Ok(())
    }

    /// Removes the entry that names exactly this object.
    pub fn remove(&mut self, object: Object) -> Result<Entry, RemoveError> {
        let at = self.position(object)?;
        Ok(self.entries.remove(at))
    }

    /// Removes one hash of the entry that names exactly this object, and the entry with its last
    /// hash.
    pub fn remove_hash(&mut self, object: Object, position: usize) -> Result<(), RemoveError> {
        let at = self.position(object)?;
        self.remove_hash_at(at, position)
    }

    /// The same for the entry that stands at a place, from 0; nothing happens without one.
    pub fn remove_hash_at(&mut self, at: usize, position: usize) -> Result<(), RemoveError> {
        let Some(entry) = self.entries.get_mut(at) else {
            return Ok(());
        };
        let (object, found) = (entry.object, entry.hashes.len());
        if position >= found {
            return Err(RemoveError::NoHash {
                object,
                found,
                position,
            });
        }
        entry.hashes.remove(position);
        if entry.hashes.is_empty() {
            self.entries.remove(at);
        }
        Ok(())
    }

    fn position(&self, object: Object) -> Result<usize, RemoveError> {
        self.entries
            .iter()
            .position(|entry| entry.object == object)
            .ok_or(RemoveError::NoEntry(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vlp::ModuleNumber;
    use txt::hash::HashAlg;

    fn module(number: u8) -> Object {
        Object::Module(ModuleNumber::new(number).unwrap())
    }

    fn empty() -> Policy {
        Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![]).unwrap()
    }

    fn hash(text: &str) -> Option<Digest> {
        Some(HashAlg::Sha256.digest(text.as_bytes()))
    }

    #[test]
    fn a_second_hash_is_allowed_beside_the_first() {
        let mut policy = empty();
        assert_eq!(policy.allow(module(0), None, hash("a")), Ok(false));
        assert_eq!(policy.allow(module(0), None, hash("b")), Ok(true));
        assert_eq!(policy.entries().len(), 1);
        assert_eq!(policy.entries()[0].hashes.len(), 2);
        // Any content: the hashes stay, but do not count.
        policy.allow(module(0), None, None).unwrap();
        assert_eq!(policy.entries()[0].check, Check::Any);
        assert_eq!(policy.entries()[0].hashes.len(), 2);
    }

    #[test]
    fn the_entry_goes_with_its_last_hash() {
        let mut policy = empty();
        policy.allow(Object::AnyModule, None, hash("a")).unwrap();
        policy.allow(Object::AnyModule, None, hash("b")).unwrap();
        assert!(matches!(
            policy.remove_hash(module(3), 0),
            Err(RemoveError::NoEntry(_))
        ));
        assert!(matches!(
            policy.remove_hash(Object::AnyModule, 2),
            Err(RemoveError::NoHash { found: 2, .. })
        ));
        policy.remove_hash(Object::AnyModule, 0).unwrap();
        assert_eq!(policy.entries()[0].hashes, [hash("b").unwrap()]);
        policy.remove_hash(Object::AnyModule, 0).unwrap();
        assert!(policy.entries().is_empty());
    }

    #[test]
    fn what_does_not_fit_leaves_the_policy_as_it_was() {
        let mut policy = empty();
        for number in 0..65 {
            policy
                .allow(module(0), None, hash(&number.to_string()))
                .unwrap();
        }
        let before = policy.clone();
        assert!(matches!(
            policy.allow(module(0), None, hash("one more")),
            Err(VlpError::TooLong(_))
        ));
        assert_eq!(policy, before);
    }
}
