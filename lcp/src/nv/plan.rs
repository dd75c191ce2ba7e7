//! The steps from what is in the NV to what shall be there, and what stands in the way.

use tpm::family::Family;
use txt::policy::Policy;

use super::{
    storage::{Index, NvError, NvStorage, OwnerState, State},
    wish::Wish,
};

/// One step of a plan. Each leaves the index in a state from which a new plan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Delete the index, and what is in it.
    Release,
    /// Define it anew.
    Define,
    /// Write its data.
    Write,
}

impl Step {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Define => "define",
            Self::Write => "write",
        }
    }
}

/// One index of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedIndex {
    /// What it shall be.
    pub wish: Wish,
    /// What it is; `None` when there is none.
    pub found: Option<Index>,
    /// What has to be done; nothing when it is as it shall be.
    pub steps: Vec<Step>,
    /// Why: what differs.
    pub reasons: Vec<String>,
    /// What the owner should know before it is done.
    pub warnings: Vec<String>,
    /// Why it cannot be done.
    pub obstacles: Vec<String>,
}

/// What has to be done in a TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which TPM it is.
    pub family: Family,
    /// What the TPM is like.
    pub state: State,
    /// Its indices.
    pub indices: Vec<PlannedIndex>,
    /// What the owner should know, whichever index it is.
    pub warnings: Vec<String>,
    /// Why nothing can be done at all.
    pub obstacles: Vec<String>,
}

impl Plan {
    /// Looks at the TPM and compares.
    ///
    /// # Errors
    /// What the TPM says; what merely keeps the plan from being done is an obstacle in it.
    pub fn make(storage: &mut dyn NvStorage, wishes: Vec<Wish>) -> Result<Self, NvError> {
        let state = storage.state()?;
        let mut indices = Vec::new();
        for wish in wishes {
            indices.push(PlannedIndex::make(storage, &state, wish)?);
        }
        let family = storage.family();
        let mut plan = Self {
            family,
            state,
            indices,
            warnings: Vec::new(),
            obstacles: Vec::new(),
        };
        if plan.steps() > 0
            && let OwnerState::Unusable(why) = &plan.state.owner
        {
            plan.obstacles.push(why.clone());
        }
        plan.look_at_lockout();
        if !plan.state.checked {
            plan.warnings.push(
                "this TPM 1.2 does not check accesses to its NV yet (nvLocked is not set): anybody \
                 on this machine may change these indices until you run lcp nv lock"
                    .to_owned(),
            );
        }
        Ok(plan)
    }

    fn look_at_lockout(&mut self) {
        let Some(tries) = self.state.tries.filter(|tries| tries.locked) else {
            return;
        };
        let (counted, max) = (tries.counted, tries.max);
        match self.family {
            Family::Tpm12 => self.obstacles.push(format!(
                "the TPM takes no password now: {counted} wrong ones were tried ({max} are \
                 allowed); leave it powered and wait"
            )),
            Family::Tpm20 => self.warnings.push(format!(
                "the TPM's lockout is active ({counted} of {max} wrong passwords): it concerns \
                 neither the owner's password nor these indices, but somebody is guessing"
            )),
        }
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.indices.iter().map(|index| index.steps.len()).sum()
    }

    /// Is everything as it shall be?
    pub fn is_done(&self) -> bool {
        self.steps() == 0 && self.is_possible()
    }

    /// Does nothing stand in the way?
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty() && self.indices.iter().all(|index| index.obstacles.is_empty())
    }

    /// Is the owner's password needed?
    pub fn needs_password(&self) -> bool {
        self.steps() > 0 && self.state.owner == OwnerState::Password
    }
}

impl PlannedIndex {
    pub(super) fn make(
        storage: &mut dyn NvStorage,
        state: &State,
        wish: Wish,
    ) -> Result<Self, NvError> {
        let found = storage.index(wish.definition.number)?;
        let mut planned = Self {
            wish,
            found,
            steps: Vec::new(),
            reasons: Vec::new(),
            warnings: Vec::new(),
            obstacles: Vec::new(),
        };
        match planned.found.clone() {
            None => planned.absent(state),
            Some(found) => planned.present(storage, state, &found)?,
        }
        Ok(planned)
    }

    fn absent(&mut self, state: &State) {
        self.reasons.push("it is not defined".to_owned());
        self.define(state);
    }

    fn define(&mut self, state: &State) {
        let size = u32::from(self.wish.definition.size);
        if size > state.max_size {
            self.obstacles.push(format!(
                "it needs {size} bytes, the TPM has room for an index of {}: release one that is \
                 not needed",
                state.max_size
            ));
        }
        self.steps.push(Step::Define);
        if self.wish.data.is_some() {
            self.steps.push(Step::Write);
        }
    }

    fn present(
        &mut self,
        storage: &mut dyn NvStorage,
        state: &State,
        found: &Index,
    ) -> Result<(), NvError> {
        self.compare_definition(found);
        let defined_right = self.reasons.is_empty();
        let content = self.compare_content(storage, found)?;
        if found.platform {
            self.obstacles.push(format!(
                "the platform's firmware defined it ({}): the owner can neither write nor delete \
                 it, and tboot ignores an index with PPWRITE; look in the firmware's setup for a \
                 way to release it",
                found.names.join(", ")
            ));
        }
        if !defined_right {
            if found.policy_delete {
                self.obstacles.push(
                    "it must be defined anew, but can be deleted only by its own policy \
                     (policydelete)"
                        .to_owned(),
                );
            }
            self.steps.push(Step::Release);
            self.define(state);
        } else if !content && found.write_locked {
            self.reasons
                .push("it is locked against writing: it must be defined anew".to_owned());
            self.steps.push(Step::Release);
            self.define(state);
        } else if !content {
            self.steps.push(Step::Write);
        }
        Ok(())
    }

    fn compare_definition(&mut self, found: &Index) {
        let wish = &self.wish.definition;
        let (is, shall) = (found.size, u32::from(wish.size));
        if is != shall && !(self.wish.larger_will_do && is > shall) {
            self.reasons.push(format!(
                "it has {is} bytes, {shall} are needed: it must be undefined first, an index's \
                 size cannot be changed"
            ));
        }
        if found.attributes != wish.attributes {
            self.reasons.push(format!(
                "its attributes are {:#x} ({}), expected {:#x}",
                found.attributes,
                found.names.join(", "),
                wish.attributes
            ));
        }
        if let Some([read, write]) = found.localities
            && [read, write] != [wish.localities; 2]
        {
            self.reasons.push(format!(
                "localities {read:#x} may read it and {write:#x} may write it, expected {:#x}",
                wish.localities
            ));
        }
    }

    /// Is the data at the index's begin what it shall be?
    fn compare_content(
        &mut self,
        storage: &mut dyn NvStorage,
        found: &Index,
    ) -> Result<bool, NvError> {
        let Some(wanted) = &self.wish.data else {
            return Ok(true);
        };
        let data = match storage.read(found, None) {
            Ok(data) => data,
            Err(error @ (NvError::Unreadable { .. } | NvError::LockedOut)) => {
                self.warnings.push(error.to_string());
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let Some(data) = data else {
            self.reasons.push("it was never written".to_owned());
            return Ok(false);
        };
        if data.starts_with(wanted) {
            return Ok(true);
        }
        self.reasons.push("its data differs".to_owned());
        self.warnings.extend(backwards(&data, wanted));
        Ok(false)
    }
}

/// Revocation counters of the new policy that are lower than the old one's: lists that were
/// revoked would be accepted again.
fn backwards(old: &[u8], new: &[u8]) -> Option<String> {
    // What is not a policy has no counters.
    let old = Policy::read(&mut txt::codec::Reader::new(old)).ok()?;
    let new = Policy::parse(new).ok()?;
    let (was, will) = (
        old.data_revocation_counters(),
        new.data_revocation_counters(),
    );
    let list = was.iter().zip(&will).position(|(was, will)| will < was)?;
    Some(format!(
        "the revocation counter of list {list} goes back from {} to {}: lists that the present \
         policy revokes would be accepted again",
        was.get(list)?,
        will.get(list)?
    ))
}
