//! What in a policy is hardly meant so.

use std::{collections::BTreeSet, fmt};

use super::{Check, Object, Policy, PolicyType};

/// Length of the NV index that tboot's documentation defines on TPM 1.2, in bytes. (On TPM 2.0 the
/// index has the length that its owner gives it.)
pub const NV_INDEX_LEN_TPM12: usize = 256;

/// Something that works, but hardly as intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Entries behind an entry for any module: tboot takes the first that fits.
    Shadowed {
        /// Position of the entry for any module, from 0.
        by: usize,
        /// The objects whose entries never count.
        objects: Vec<Object>,
    },
    /// A second entry for the same module.
    Twice(Object),
    /// An entry that compares but allows nothing.
    NothingAllowed(Object),
    /// Hashes of an entry that accepts anything.
    HashesUnused(Object),
    /// The same hash twice in an entry.
    SameHash(Object),
    /// A policy type that lets every module through.
    NotEnforced(PolicyType),
    /// Longer than the NV index of tboot's documentation.
    LongerThanNv(usize),
    /// Control bits that tboot does not know.
    ControlBits(u32),
    /// No entry for modules beyond those named.
    NoEntryForOthers,
    /// The policy itself is not measured.
    NotExtended,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadowed { by, objects } => {
                write!(f, "entry {by} is for any module, so that tboot never comes to the entries for ")?;
                for (position, object) in objects.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(f, "{separator}{object}")?;
                }
                f.write_str(" behind it: put the entry for any module last")
            }
            Self::Twice(object) => write!(
                f,
                "there are two entries for {object}, tboot takes the first: remove one"
            ),
            Self::NothingAllowed(object) => write!(
                f,
                "the entry for {object} compares hashes but holds none, so that it allows nothing: add a hash"
            ),
            Self::HashesUnused(object) => write!(
                f,
                "the entry for {object} accepts anything, its hashes are not compared: remove them or make the entry compare"
            ),
            Self::SameHash(object) => {
                write!(f, "the entry for {object} holds the same hash twice")
            }
            Self::NotEnforced(kind) => write!(
                f,
                "the policy's type is {}: {}; only PCR values tell the difference",
                kind.name(),
                kind.meaning()
            ),
            Self::LongerThanNv(len) => write!(
                f,
                "the policy has {len} bytes, the NV index of tboot's documentation for TPM 1.2 has {NV_INDEX_LEN_TPM12}: define a longer index, or carry the policy in the launch control policy (tboot-policy wrap)"
            ),
            Self::ControlBits(bits) => write!(
                f,
                "control bits {bits:#x} have no meaning: only bit 0 (extend the policy's hash) has"
            ),
            Self::NoEntryForOthers => f.write_str(
                "modules without an entry are not measured and an error for tboot: add an entry for any module",
            ),
            Self::NotExtended => f.write_str(
                "bit 0 of the control field is clear: the policy itself is not measured into PCR 17",
            ),
        }
    }
}

impl Policy {
    /// What in the policy is hardly meant so.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let any = |object: Object| object == Object::AnyModule;
        let first_any = self.entries.iter().position(|entry| any(entry.object));
        if let Some(by) = first_any {
            let behind = self.entries.iter().skip(by.saturating_add(1));
            let objects: Vec<Object> = behind
                .map(|entry| entry.object)
                .filter(|object| matches!(object, Object::Module(_) | Object::AnyModule))
                .collect();
            if !objects.is_empty() {
                warnings.push(Warning::Shadowed { by, objects });
            }
        }
        let mut seen = BTreeSet::new();
        for entry in self.entries.iter().take(first_any.unwrap_or(usize::MAX)) {
            let Object::Module(number) = entry.object else {
                continue;
            };
            if !seen.insert(number) {
                warnings.push(Warning::Twice(entry.object));
            }
        }
        for entry in &self.entries {
            match (entry.check, entry.hashes.is_empty()) {
                (Check::Image, true) => warnings.push(Warning::NothingAllowed(entry.object)),
                (Check::Any, false) => warnings.push(Warning::HashesUnused(entry.object)),
                _ => {}
            }
            let mut hashes: Vec<&[u8]> = entry.hashes.iter().map(|hash| hash.as_bytes()).collect();
            hashes.sort_unstable();
            hashes.dedup();
            if hashes.len() < entry.hashes.len() {
                warnings.push(Warning::SameHash(entry.object));
            }
        }
        if first_any.is_none() {
            warnings.push(Warning::NoEntryForOthers);
        }
        let compares = self.entries.iter().any(|entry| entry.check == Check::Image);
        if compares && self.policy_type != PolicyType::Halt {
            warnings.push(Warning::NotEnforced(self.policy_type));
        }
        if self.control & Self::EXTEND_PCR17 == 0 {
            warnings.push(Warning::NotExtended);
        }
        if self.control & !Self::EXTEND_PCR17 != 0 {
            warnings.push(Warning::ControlBits(self.control & !Self::EXTEND_PCR17));
        }
        let len = self.byte_len();
        if len > NV_INDEX_LEN_TPM12 {
            warnings.push(Warning::LongerThanNv(len));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vlp::{Entry, ModuleNumber};
    use txt::hash::HashAlg;

    fn policy(entries: Vec<Entry>) -> Policy {
        Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, entries).unwrap()
    }

    fn entry(object: Object) -> Entry {
        Entry::measure(object, None)
    }

    fn module(number: u8) -> Object {
        Object::Module(ModuleNumber::new(number).unwrap())
    }

    #[test]
    fn an_entry_for_any_module_in_front_of_others_is_named() {
        let entries = vec![entry(module(0)), entry(Object::AnyModule), entry(module(1))];
        let found = policy(entries).warnings();
        assert_eq!(
            found,
            [Warning::Shadowed {
                by: 1,
                objects: vec![module(1)]
            }]
        );
        assert!(found[0].to_string().contains("module 1"));
        assert!(
            policy(vec![entry(module(1)), entry(Object::AnyModule)])
                .warnings()
                .is_empty()
        );
    }

    #[test]
    fn tboots_own_policies_have_no_fault_but_their_type() {
        assert!(Policy::default_tpm2().warnings().is_empty());
    }

    #[test]
    fn entries_that_cannot_be_meant_are_named() {
        let hash = HashAlg::Sha256.digest(b"");
        let mut image = entry(module(0));
        image.check = Check::Image;
        let mut unused = entry(module(0));
        unused.hashes = vec![hash.clone(), hash];
        let found = policy(vec![image, unused]).warnings();
        assert_eq!(
            found,
            [
                Warning::Twice(module(0)),
                Warning::NothingAllowed(module(0)),
                Warning::HashesUnused(module(0)),
                Warning::SameHash(module(0)),
                Warning::NoEntryForOthers,
            ]
        );
    }

    #[test]
    fn a_policy_too_long_for_the_documented_index_is_named() {
        let mut long = entry(Object::AnyModule);
        long.check = Check::Image;
        long.hashes = (0..8u8).map(|n| HashAlg::Sha256.digest(&[n])).collect();
        let mut policy = policy(vec![long]);
        policy.set_policy_type(PolicyType::NonFatal);
        policy.set_control(4);
        assert_eq!(
            policy.warnings(),
            [
                Warning::NotEnforced(PolicyType::NonFatal),
                Warning::NotExtended,
                Warning::ControlBits(4),
                Warning::LongerThanNv(276)
            ]
        );
    }
}
