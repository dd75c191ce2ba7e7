//! What was done to a volume, for people and for machines.

use std::path::Path;

use agent::unlock::{
    VolumeIdentity,
    enrolment::{FurtherEnrolled, Leftover},
};
use serde_json::json;

/// What became of a further volume.
pub fn further_sentence(device: &Path, written: &FurtherEnrolled) -> String {
    let how = if written.new {
        "enrolled as a further volume"
    } else {
        "was enrolled as a further volume already"
    };
    let removed: Vec<String> = written.removed.iter().map(u32::to_string).collect();
    let old = if removed.is_empty() {
        String::new()
    } else {
        format!(
            "; removed keyslot {} of an earlier secret",
            removed.join(", ")
        )
    };
    format!(
        "{}: {how}: keyslot {}{old}",
        device.display(),
        written.enrolled.keyslot
    )
}

/// The same for a machine.
pub fn further_json(
    device: &Path,
    volume: &VolumeIdentity,
    written: &FurtherEnrolled,
) -> serde_json::Value {
    json!({
        "volume": device,
        "uuid": volume.uuid,
        "token": written.enrolled.token,
        "keyslot": written.enrolled.keyslot,
        "new": written.new,
        "removed_keyslots": written.removed,
    })
}

/// One sentence about what an interrupted run had left.
pub fn leftover_sentence(leftover: &Leftover) -> String {
    match leftover.keyslot {
        Some(keyslot) => {
            format!(
                "taoboot: removed keyslot {keyslot}, which an interrupted enrolment had left behind"
            )
        }
        None => "taoboot: removed the note that an interrupted enrolment had left behind".into(),
    }
}
