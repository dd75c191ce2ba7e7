//! Taking the steps of a plan, one at a time, and reading back what came of them.

use super::{
    place::Role,
    plan::{Plan, PlannedIndex, Step},
    storage::{NvError, NvStorage, Owner},
};

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A step was taken.
    Step {
        /// What the index is for.
        role: Role,
        /// Its number.
        number: u32,
        /// The step.
        step: Step,
    },
    /// The index was read back and is as it shall be.
    Verified {
        /// What the index is for.
        role: Role,
        /// Its number.
        number: u32,
    },
}

/// Takes all steps, and tells `progress` of each. Where `progress` fails, nothing more is done.
///
/// # Errors
/// [`NvError::Refused`] when something stands in the way: then nothing is done at all.
/// [`NvError::WrongPassword`] at the first step, so that nothing was changed. Otherwise what the
/// TPM says: what was done stays, and a new plan goes on from there.
pub fn apply(
    storage: &mut dyn NvStorage,
    plan: &Plan,
    owner: &Owner,
    progress: &mut dyn FnMut(Applied) -> Result<(), NvError>,
) -> Result<(), NvError> {
    let in_the_way = plan.obstacles.iter().cloned();
    let with_index = plan.indices.iter().flat_map(|index| {
        let number = index.wish.definition.number;
        index
            .obstacles
            .iter()
            .map(move |obstacle| format!("NV index {number:#x}: {obstacle}"))
    });
    if let Some(obstacle) = in_the_way.chain(with_index).next() {
        return Err(NvError::Refused(obstacle));
    }
    for index in &plan.indices {
        let (role, number) = (index.wish.role, index.wish.definition.number);
        for step in &index.steps {
            take(storage, index, *step, owner)?;
            progress(Applied::Step {
                role,
                number,
                step: *step,
            })?;
        }
        verify(storage, index)?;
        progress(Applied::Verified { role, number })?;
    }
    Ok(())
}

fn take(
    storage: &mut dyn NvStorage,
    index: &PlannedIndex,
    step: Step,
    owner: &Owner,
) -> Result<(), NvError> {
    let wish = &index.wish;
    match step {
        Step::Release => storage.release(wish.definition.number, owner),
        Step::Define => storage.define(&wish.definition, owner),
        Step::Write => match &wish.data {
            Some(data) => storage.write(wish.definition.number, data, owner),
            None => Err(NvError::Refused(format!(
                "there is nothing to write into NV index {:#x}",
                wish.definition.number
            ))),
        },
    }
}

/// The index must be as it shall be: nothing that was sent is believed to have arrived.
fn verify(storage: &mut dyn NvStorage, index: &PlannedIndex) -> Result<(), NvError> {
    let state = storage.state()?;
    let again = PlannedIndex::make(storage, &state, index.wish.clone())?;
    if again.steps.is_empty() {
        return Ok(());
    }
    Err(NvError::ReadBack(format!(
        "NV index {:#x} was changed, but reads back wrong: {}",
        index.wish.definition.number,
        again.reasons.join("; ")
    )))
}
