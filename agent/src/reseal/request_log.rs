//! What the log says of a request, before it is granted or refused.

use super::protocol::{Measure, SealRequest};

/// Files, digests and registers of a request; the kernel takes lines of less than 1 KiB.
pub(super) fn log_lines(request: &SealRequest) -> Vec<String> {
    let registers: Vec<String> = request
        .pcrs
        .iter()
        .map(|(pcr, value)| format!("PCR {pcr} {}", hex::encode(value)))
        .collect();
    let mut lines = vec![format!("{:?}", shown(&request.label, 160))];
    lines.extend(registers.chunks(4).map(|some| some.join(", ")));
    // As many as are looked at; what has more is refused.
    lines.extend(request.files.iter().take(64).map(|file| {
        let stands_at = file.stands_at.as_ref().unwrap_or(&file.path);
        format!(
            "{} SHA-256 {}",
            shown(stands_at, 200),
            shown(&file.sha256, 64)
        )
    }));
    let said: Vec<String> = request
        .events
        .iter()
        .filter_map(|event| match &event.measured {
            Measure::Platform { name, sha256 } | Measure::Initial { name, sha256 } => {
                Some(format!(
                    "PCR {} {} {}",
                    event.pcr,
                    shown(name, 40),
                    shown(sha256, 64)
                ))
            }
            Measure::Tboot { .. } | Measure::Module { .. } => None,
        })
        .take(64)
        .collect();
    let said = said
        .chunks(5)
        .map(|some| format!("according to root: {}", some.join(", ")));
    lines.extend(said);
    lines
}

/// For the kernel log, where a control character could forge a line.
pub(super) fn shown(text: &str, most: usize) -> String {
    let short: String = text.chars().take(most).collect();
    printable::line(short).to_string()
}
