//! What the disk drivers drive that an image lacks: `/etc/taoboot.drivers`, for the sentence that says why a
//! disk did not appear. Nothing is loaded by it.
//!
//! ```text
//! alias PATTERN NAME           a device with such a modalias needs NAME, which is not in the image
//! ```

use std::collections::BTreeSet;

use super::plan::{Plan, is_device_alias};
use super::tree::ModuleTree;
use super::wanted::DISK_DRIVERS;

/// The text of `/etc/taoboot.drivers`: of the drivers that the kernel has, those that `plan` loads for no
/// device and not at the start.
#[must_use]
pub fn left_out(tree: &ModuleTree, plan: &Plan) -> String {
    let loaded: BTreeSet<&String> = plan
        .always
        .iter()
        .chain(&plan.optional)
        .chain(plan.aliases.iter().map(|alias| &alias.name))
        .collect();
    let is_left_out = |name: &String| {
        DISK_DRIVERS.contains(&name.as_str())
            && tree.modules.contains_key(name)
            && !loaded.contains(name)
    };
    let aliases: BTreeSet<_> = tree
        .aliases
        .iter()
        .filter(|alias| is_left_out(&alias.name) && is_device_alias(&alias.pattern))
        .collect();
    aliases
        .into_iter()
        .map(|alias| format!("alias {} {}\n", alias.pattern, alias.name))
        .collect()
}
