//! NV indices and plans as JSON, and as lines for a person.

use lcp::nv::{Index, OwnerState, Plan, PlannedIndex, Role, State};
use serde_json::{Value, json};
use tpm::family::Family;
use txt::{codec::Reader, policy::Policy};

use super::open;

/// A plan.
pub fn plan(plan: &Plan) -> Value {
    let indices: Vec<Value> = plan.indices.iter().map(planned).collect();
    json!({
        "tpm": open::name(plan.family),
        "state": state(&plan.state),
        "indices": indices,
        "warnings": plan.warnings,
        "obstacles": plan.obstacles,
        "possible": plan.is_possible(),
        "done": plan.is_done(),
        "needs_password": plan.needs_password(),
    })
}

/// What the TPM is like.
pub fn state(state: &State) -> Value {
    let owner = match &state.owner {
        OwnerState::Password => "password",
        OwnerState::NoPassword => "no password",
        OwnerState::Unusable(_) => "unusable",
    };
    let tries = state.tries.map(|tries| {
        json!({
            "counted": tries.counted,
            "max": tries.max,
            "left": tries.left(),
            "locked": tries.locked,
        })
    });
    json!({ "owner": owner, "tries": tries, "accesses_checked": state.checked })
}

fn planned(planned: &PlannedIndex) -> Value {
    let steps: Vec<&str> = planned.steps.iter().map(|step| step.name()).collect();
    let definition = &planned.wish.definition;
    json!({
        "role": planned.wish.role.name(),
        "index": format!("{:#010x}", definition.number),
        "size": definition.size,
        "attributes": format!("{:#x}", definition.attributes),
        "found": planned.found.as_ref().map(|found| index(found, None)),
        "steps": steps,
        "reasons": planned.reasons,
        "warnings": planned.warnings,
        "obstacles": planned.obstacles,
    })
}

/// An index that is there.
pub fn index(index: &Index, role: Option<Role>) -> Value {
    let mut value = json!({
        "index": format!("{:#010x}", index.number),
        "size": index.size,
        "attributes": format!("{:#x}", index.attributes),
        "attribute_names": index.names,
        "platform": index.platform,
        "write_locked": index.write_locked,
    });
    if let Some(map) = value.as_object_mut() {
        if let Some([read, write]) = index.localities {
            map.insert("read_localities".to_owned(), json!(format!("{read:#x}")));
            map.insert("write_localities".to_owned(), json!(format!("{write:#x}")));
        }
        if let Some(role) = role {
            map.insert("role".to_owned(), json!(role.name()));
        }
    }
    value
}

/// What is in an index: its bytes, and what they mean if they are a policy.
pub fn content(data: Option<&[u8]>) -> Value {
    let Some(data) = data else {
        return json!({ "written": false });
    };
    // Most indices hold no policy.
    let policy = Policy::read(&mut Reader::new(data)).ok();
    json!({
        "written": true,
        "data": hex::encode(data),
        "policy": policy.as_ref().map(crate::command::describe::policy),
    })
}

/// A plan as lines.
pub fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!(
        "TPM {}, {}",
        open::name(plan.family),
        state_words(&plan.state)
    )];
    for planned in &plan.indices {
        let steps: Vec<&str> = planned.steps.iter().map(|step| step.name()).collect();
        let todo = match (planned.obstacles.is_empty(), steps.is_empty()) {
            (false, _) => "cannot be done".to_owned(),
            (true, true) => "nothing to do".to_owned(),
            (true, false) => steps.join(", "),
        };
        let number = planned.wish.definition.number;
        let role = planned.wish.role.describe();
        lines.push(format!("{number:#010x}, {role}: {todo}"));
        if let Some(found) = &planned.found {
            lines.push(format!("  found: {}", index_words(found)));
        }
        let marked = |mark: &'static str, texts: &[String]| -> Vec<String> {
            texts.iter().map(|text| format!("  {mark}{text}")).collect()
        };
        lines.extend(marked("", &planned.reasons));
        lines.extend(marked("warning: ", &planned.warnings));
        lines.extend(marked("obstacle: ", &planned.obstacles));
    }
    let all = |mark: &'static str, texts: &[String]| -> Vec<String> {
        texts.iter().map(|text| format!("{mark}{text}")).collect()
    };
    lines.extend(all("warning: ", &plan.warnings));
    lines.extend(all("obstacle: ", &plan.obstacles));
    if plan.is_possible() && plan.needs_password() {
        lines.push("the owner's password is needed".to_owned());
    }
    lines
}

/// An index in a line.
pub fn index_words(index: &Index) -> String {
    let names = match index.names.as_slice() {
        [] => "no permissions".to_owned(),
        names => names.join("|"),
    };
    let mut words = format!("{} bytes, {names}", index.size);
    if let Some([read, write]) = index.localities {
        words.push_str(&format!(
            ", read from localities {read:#x}, written from {write:#x}"
        ));
    }
    words
}

/// The state in a line.
pub fn state_words(state: &State) -> String {
    let owner = match &state.owner {
        OwnerState::Password => "owner with password",
        OwnerState::NoPassword => "owner without password",
        OwnerState::Unusable(_) => "no usable owner",
    };
    match state.tries {
        None => owner.to_owned(),
        Some(tries) => format!(
            "{owner}, {} of {} tries left before the lockout",
            tries.left(),
            tries.max
        ),
    }
}

/// The role of an index in words, or nothing.
pub fn role_words(family: Family, number: u32) -> String {
    Role::of(family, number).map_or(String::new(), |role| {
        format!(" {} ({})", role.name(), role.describe())
    })
}
