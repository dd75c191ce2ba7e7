//! What the demo found out: the content of its report, and of `--json`.

use std::collections::BTreeMap;

use agent::boot::report::{Launch, Outcome};
use agent::config::OnFailure;
use serde::{Serialize, Serializer};
use tao::attestation::Opened;

/// Everything. Hex is lower case, sizes are bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// Version of these fields.
    pub demo: u32,
    /// Every check passed.
    pub passed: bool,
    /// How the launch came about.
    pub launch: &'static str,
    /// The demo's steps and their times.
    pub steps: Vec<Timed>,
    /// From the first step to the last, in seconds.
    pub total_seconds: f64,
    /// The initramfs.
    pub image: Image,
    /// The encrypted disk.
    pub disk: DiskFacts,
    /// The record in its header.
    pub enrolment: Enrolment,
    /// The boot that was approved.
    pub boot: Boot,
    /// The boot that was not.
    pub attack: Attack,
    /// The approved boot again, after the attack.
    pub again: Boot,
    /// What was expected, one by one.
    pub checks: Vec<Check>,
    /// Where the machine, or the logs of a demo that failed, are left.
    pub left_in: Option<String>,
    /// The machine is kept for --attach.
    pub kept: bool,
}

/// Something that took its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// What.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
}

impl Timed {
    /// `name` took `seconds`.
    pub fn new(name: impl Into<String>, seconds: f64) -> Self {
        Self {
            name: name.into(),
            seconds,
        }
    }
}

/// The initramfs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Image {
    pub kernel: String,
    pub size: u64,
    pub unpacked_size: u64,
    pub compression: &'static str,
    pub modules: Vec<String>,
    pub sha256: String,
}

/// The encrypted disk.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DiskFacts {
    /// UUID of the LUKS2 volume.
    pub uuid: &'static str,
    pub size: u64,
    pub swap_size: u64,
}

/// What `taoboot enroll` wrote into the header.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Enrolment {
    /// Number of the LUKS2 token.
    pub record: Option<u64>,
    pub keyslot: Option<u64>,
    /// The values it is sealed to, SHA-256 bank, predicted from the files on the boot disk.
    pub predicted: BTreeMap<u8, String>,
}

/// What /init reported; all empty where it did not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Agent {
    pub outcome: Option<Outcome>,
    /// The sentence for a person, of a boot that failed.
    pub reason: Option<String>,
    /// What was done about it.
    pub action: Option<OnFailure>,
    pub launch: Option<Launch>,
    /// As read before unsealing, SHA-256 bank.
    pub pcrs: BTreeMap<u8, String>,
    pub latched: bool,
    #[serde(serialize_with = "opened_word")]
    pub unlocked_by: Option<Opened>,
    pub swap: Option<String>,
    pub warnings: Vec<String>,
    pub phases: Vec<Timed>,
    /// From the exec of /init to its report, in seconds.
    pub seconds: f64,
}

fn opened_word<S: Serializer>(opened: &Option<Opened>, serializer: S) -> Result<S::Ok, S::Error> {
    opened.map(Opened::word).serialize(serializer)
}

/// One boot of the machine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Boot {
    pub seconds: f64,
    /// How QEMU ended: `PowerOff`, `Reset`, ...
    pub ending: String,
    /// GRUB loaded tboot, and tboot started the kernel.
    pub through_tboot: bool,
    pub stages: Vec<Timed>,
    /// Nothing if /init never reported.
    pub agent: Option<Agent>,
    /// Nothing if no userland was reached.
    pub userland: Option<Userland>,
}

/// What the booted Debian said about itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Userland {
    pub systemd: String,
    pub multi_user: String,
    pub failed_units: Vec<String>,
    pub root: String,
    /// dm-crypt's name of the cipher, by mapping.
    pub ciphers: BTreeMap<String, String>,
    /// Lines of `swapon --show`.
    pub swap: Vec<String>,
    /// mkswap's signature can be read on the raw partition.
    pub swap_readable: bool,
    /// PCR 15, the latch.
    pub latch_pcr: String,
    pub tao_hosts: Vec<TaoHost>,
    pub hosted: Hosted,
    pub examples: Examples,
}

/// The example programs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Examples {
    /// What the sealed counter counted.
    pub count: Option<u64>,
    /// What the client of the attested hello printed: the greeting, and what it rests on.
    pub hello: Vec<String>,
    /// What went wrong, in their words.
    pub error: Option<String>,
}

/// A resident Tao host.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaoHost {
    pub pid: u64,
    pub resident_kib: u64,
}

/// The hosted program.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hosted {
    pub command: &'static str,
    /// Nothing when a signal or the time limit ended it, or it was never started.
    pub exit_code: Option<i64>,
    /// Its Tao name, as it reported it.
    pub name: Option<String>,
    /// Sealed a secret under its own name and got it back.
    pub sealed: bool,
    /// Its attestation verifies.
    pub attested: bool,
    /// What went wrong, in its words.
    pub error: Option<String>,
}

/// The attack.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Attack {
    /// What was changed.
    pub change: String,
    /// What the kernel's register would read, and does.
    pub pcr_18: String,
    pub boot: Boot,
}

/// Something that was expected.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    /// What was found instead, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}
