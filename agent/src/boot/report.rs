//! The boot's report for machines: one JSON line.

use std::{
    collections::BTreeMap, fs::OpenOptions, io::Write, os::unix::fs::FileTypeExt, path::Path,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use storage::lvm2;
use tao::attestation::Opened;
use tpm::{PcrIndex, PcrValues};

use crate::{
    boot::{acpi::Tables, phase::Phase},
    config::OnFailure,
    unlock::{LaunchPcrs, LaunchPcrsError},
};

/// Version of the report's fields.
const VERSION: u32 = 1;

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The real init runs.
    Booted,
    /// A hibernation image takes over. Where the kernel does not take it, another report follows.
    Resuming,
    /// It stopped, or a person is asked.
    Failed,
}

/// What was launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launch {
    /// A measured launch.
    Measured,
    /// None: a PCR from 17 on is all ones.
    None,
    /// The launch wrote nothing into one of PCR 17-19.
    Unmeasured,
    /// The PCRs were not read.
    Unknown,
}

impl Launch {
    /// Of these values.
    pub fn of(values: &PcrValues) -> Self {
        match LaunchPcrs::check(values) {
            Ok(()) => Self::Measured,
            Err(LaunchPcrsError::NoLaunch) => Self::None,
            Err(_) => Self::Unmeasured,
        }
    }
}

/// What a boot did. Written to `taoboot.report=` and, when it succeeded, to /run/tao/boot.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub taoboot: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The phase that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<OnFailure>,
    /// Phases and their times, in order.
    pub phases: Vec<PhaseTime>,
    /// Milliseconds from the exec of /init to this report.
    pub total_ms: f64,
    /// What was launched.
    pub launch: Launch,
    /// PCR number to hex value, SHA-256 bank, as the unsealing was decided on.
    pub pcrs: BTreeMap<PcrIndex, String>,
    /// The ACPI tables with code that the kernel had when /init began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acpi: Option<Tables>,
    /// Those that it had later, if they were others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acpi_later: Option<Tables>,
    /// Is PCR 15 extended, so that the TPM releases no key until the next reset?
    pub latched: bool,
    /// What PCR 15 was extended with after the latch: how root was opened, which volume it is,
    /// which key the Tao host has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_event: Option<String>,
    /// How root was opened, if it was; by the word of the boot event.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "opened_word",
        default,
        deserialize_with = "opened_of_word"
    )]
    pub unlocked_by: Option<Opened>,
    /// The volume's UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The further volumes that were opened.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub further_volumes: Vec<FurtherVolume>,
    /// The volume group that root is in, where root is a logical volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_group: Option<VolumeGroup>,
    /// The swap device that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<String>,
    /// Of a boot that stopped: mappings and swap areas that the kernel has still, after everything
    /// was closed. There should be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_open: Option<Vec<String>>,
    /// Things that went wrong and stopped nothing.
    pub warnings: Vec<String>,
}

/// A volume that was opened beside the one with the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FurtherVolume {
    /// Of its LUKS header.
    pub uuid: String,
    /// Below /dev/mapper.
    pub name: String,
}

/// A volume group of LVM, as its metadata says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// LVM's UUID of it.
    pub uuid: String,
    /// Which change of the group this is: LVM counts them.
    pub seqno: u64,
}

impl From<&lvm2::VolumeGroup> for VolumeGroup {
    fn from(group: &lvm2::VolumeGroup) -> Self {
        Self {
            name: group.name.clone(),
            uuid: group.id.to_string(),
            seqno: group.seqno,
        }
    }
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Its name.
    pub name: Phase,
    /// Its milliseconds.
    pub ms: f64,
}

fn opened_word<S: Serializer>(opened: &Option<Opened>, serializer: S) -> Result<S::Ok, S::Error> {
    opened.map(Opened::word).serialize(serializer)
}

fn opened_of_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Opened>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(D::Error::custom))
        .transpose()
}

impl Default for Report {
    fn default() -> Self {
        Self {
            taoboot: VERSION,
            outcome: Outcome::Failed,
            phase: None,
            reason: None,
            action: None,
            phases: Vec::new(),
            total_ms: 0.0,
            launch: Launch::Unknown,
            pcrs: BTreeMap::new(),
            acpi: None,
            acpi_later: None,
            latched: false,
            boot_event: None,
            unlocked_by: None,
            volume: None,
            further_volumes: Vec::new(),
            volume_group: None,
            swap: None,
            left_open: None,
            warnings: Vec::new(),
        }
    }
}

impl Report {
    /// Takes over the times of the phases.
    pub fn set_times(&mut self, phases: &[(Phase, Duration)], total: Duration) {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1_000_000.0).round() / 1000.0;
        self.phases = phases
            .iter()
            .map(|(name, time)| PhaseTime {
                name: *name,
                ms: milliseconds(*time),
            })
            .collect();
        self.total_ms = milliseconds(total);
    }

    /// Appends the report as one line to a device or file.
    pub fn write_line(&self, path: &Path, create: bool) -> std::io::Result<()> {
        // JSON escapes C0 itself; the rest is written as JSON writes characters, too.
        let line = serde_json::to_string(self).map_err(std::io::Error::other)?;
        let line = format!("{}\n", printable::line(line));
        let mut file = OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(create)
            .open(path)?;
        // `taoboot.report=/dev/sda` would write over a disk.
        if !create && !file.metadata()?.file_type().is_char_device() {
            return Err(std::io::Error::other("it is not a character device"));
        }
        file.write_all(line.as_bytes())?;
        // A serial line still sends when the machine is reset: wait for it. A file is not a terminal.
        match nix::sys::termios::tcdrain(&file) {
            Ok(()) | Err(nix::Error::ENOTTY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_of_json() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut report = Report {
            reason: Some("two\nlines \u{9b}2J \u{202e}".into()),
            ..Report::default()
        };
        report.set_times(
            &[(Phase::Mounts, Duration::from_micros(1500))],
            Duration::from_millis(2),
        );
        report.write_line(file.path(), true).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["phases"][0]["ms"], 1.5);
        assert_eq!(value["outcome"], "failed");
        assert_eq!(value["reason"], "two\nlines \u{9b}2J \u{202e}");
        assert!(text.trim_end().chars().all(printable::is_printable));
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let acpi = format!(
            r#"{{"digest":"{}","tables":["DSDT 90ab"]}}"#,
            "5a".repeat(32)
        );
        let mut report = Report {
            outcome: Outcome::Booted,
            phase: Some(Phase::Lvm),
            reason: Some("why".into()),
            action: Some(OnFailure::Prompt),
            launch: Launch::Measured,
            pcrs: [(PcrIndex::try_from(17).unwrap(), "00".repeat(32))].into(),
            acpi: Some(serde_json::from_str(&acpi).unwrap()),
            latched: true,
            unlocked_by: Some(Opened::RecoveryKey),
            further_volumes: vec![FurtherVolume {
                uuid: "uuid".into(),
                name: "home".into(),
            }],
            left_open: Some(Vec::new()),
            ..Report::default()
        };
        report.set_times(
            &[(Phase::Open, Duration::from_micros(1500))],
            Duration::from_millis(2),
        );
        for report in [report, Report::default()] {
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(
                serde_json::from_str::<Report>(&text).unwrap(),
                report,
                "{text}"
            );
        }
        assert!(serde_json::from_str::<Report>(r#"{"taoboot":1}"#).is_err());
    }

    #[test]
    fn a_report_to_a_device_writes_over_no_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "somebody's data").unwrap();
        let error = Report::default()
            .write_line(file.path(), false)
            .unwrap_err();
        assert!(error.to_string().contains("character device"), "{error}");
        let kept = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(kept, "somebody's data");
        Report::default()
            .write_line(Path::new("/dev/null"), false)
            .unwrap();
    }
}
