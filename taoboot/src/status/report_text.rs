//! `taoboot status` for people.

use std::fmt;

use super::report::{FurtherReport, RecordReport, RecordState, StatusReport};
use crate::time;

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = &self.volume;
        writeln!(
            f,
            "{}: LUKS2 {}, {} with {} bits, {}-byte sectors",
            self.device,
            volume.uuid,
            volume.cipher,
            volume.key_bytes.saturating_mul(8),
            volume.sector_bytes
        )?;
        for keyslot in &self.keyslots {
            writeln!(
                f,
                "  keyslot {}: {} ({})",
                keyslot.keyslot, keyslot.purpose, keyslot.kdf
            )?;
        }
        if self.records.is_empty() && self.further.is_empty() {
            writeln!(
                f,
                "  no taoboot record: approve a launch with `taoboot enroll`"
            )?;
        }
        for record in &self.records {
            record.fmt(f)?;
        }
        for further in &self.further {
            further.fmt(f)?;
        }
        for leftover in &self.leftovers {
            match leftover.keyslot {
                Some(keyslot) => writeln!(
                    f,
                    "  keyslot {keyslot} was left behind by an interrupted enrolment; the next enroll or wipe removes it"
                )?,
                None => writeln!(
                    f,
                    "  an interrupted enrolment left a note behind; the next enroll or wipe removes it"
                )?,
            }
        }
        if let Some(why) = &self.no_launch {
            writeln!(f, "{why}")?;
        }
        match (self.would_open, self.latch_closed) {
            (Some(true), Some(true)) => writeln!(
                f,
                "this launch opens the volume (the latch is closed until the next boot)"
            ),
            (Some(true), _) => writeln!(f, "this launch opens the volume"),
            (Some(false), _) if self.is_further() => writeln!(
                f,
                "this is a further volume: `taoboot status` of the volume with the records says whether this launch opens it"
            ),
            (Some(false), _) => writeln!(f, "this launch does not open the volume"),
            (None, _) => Ok(()),
        }?;
        if self.would_open() && !self.is_proved() {
            writeln!(
                f,
                "whether its record is genuine is not known: no resident agent that holds this volume's secret answers"
            )?;
        }
        for volume in &self.machine {
            writeln!(f, "{volume}")?;
        }
        if let Some(pins) = &self.pins {
            writeln!(f, "{pins}")?;
        }
        if let Some(warning) = &self.pin_warning {
            writeln!(f, "warning: {warning}")?;
        }
        if let Some(entries) = &self.entries {
            writeln!(f, "the entries of GRUB's menu (* is booted by default):")?;
            entries.iter().try_for_each(|verdict| verdict.fmt(f))?;
        }
        Ok(())
    }
}

impl fmt::Display for FurtherReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, self.keyslot, &self.enrolled_with) {
            (None, Some(keyslot), Some(with)) => writeln!(
                f,
                "  opened with the secret of the volume {with}: keyslot {keyslot}, token {}",
                self.token
            ),
            (error, ..) => writeln!(
                f,
                "  token {}, for opening this volume with another volume's secret, cannot be used: {}",
                self.token,
                error.as_deref().unwrap_or("it names no keyslot")
            ),
        }
    }
}

impl fmt::Display for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = match &self.state {
            RecordState::Usable { details, .. } => details,
            RecordState::Unusable { error } => {
                return writeln!(f, "  record {}: {error}", self.record);
            }
        };
        let label = if details.label.is_empty() {
            String::new()
        } else {
            format!("{:?}, ", details.label)
        };
        writeln!(
            f,
            "  record {}: {label}PCR {}, keyslot {}, made {}",
            self.record,
            details.pcrs,
            details.keyslot,
            time::date(details.created)
        )?;
        writeln!(f, "    sealed under {}", details.parent)?;
        if let Some(key) = &details.policy_key {
            writeln!(f, "    signed by the policy key {key}")?;
        }
        if details.pin {
            writeln!(f, "    with a PIN")?;
        }
        if let Some(limit) = details.limit {
            writeln!(f, "    until the rollback counter is above {limit}")?;
        }
        if let Some(swap) = &details.swap {
            writeln!(f, "    swap on {swap}")?;
        }
        if let Some(objection) = &self.objection {
            writeln!(f, "    it would not be opened: {objection}")?;
        }
        for difference in &self.differences {
            writeln!(f, "    {difference}")?;
        }
        if self.would_open == Some(true) {
            writeln!(f, "    fits this launch")?;
        }
        Ok(())
    }
}
