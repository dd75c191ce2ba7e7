//! The phases of a boot, by the names that reports have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One phase, in the order of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The kernel's file systems.
    Mounts,
    /// Command line and measured configuration.
    Config,
    /// ACPI's tables are read.
    Acpi,
    /// Kernel modules.
    Modules,
    /// Arrays are assembled.
    Arrays,
    /// The disk appears.
    Devices,
    /// The LUKS header and its sealed records.
    Records,
    /// The TPM is opened.
    Tpm,
    /// The PCRs are read.
    Launch,
    /// The TPM is asked for the boot secret.
    Unseal,
    /// PCR 15 is extended.
    Latch,
    /// The volume is opened.
    Open,
    /// A person is asked for a passphrase.
    Prompt,
    /// PCR 15 tells what was opened.
    Evidence,
    /// Further volumes are opened.
    Further,
    /// A hibernation image is resumed, or it is settled that none is.
    Resume,
    /// Swap under a random key.
    Swap,
    /// Logical volumes on the opened volume.
    Lvm,
    /// The root file system is mounted.
    Root,
    /// It becomes /.
    Pivot,
    /// The Tao host is forked off.
    Host,
    /// The real init is executed.
    Init,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mounts => "mounts",
            Self::Config => "config",
            Self::Acpi => "acpi",
            Self::Modules => "modules",
            Self::Arrays => "arrays",
            Self::Devices => "devices",
            Self::Records => "records",
            Self::Tpm => "tpm",
            Self::Launch => "launch",
            Self::Unseal => "unseal",
            Self::Latch => "latch",
            Self::Open => "open",
            Self::Prompt => "prompt",
            Self::Evidence => "evidence",
            Self::Further => "further",
            Self::Resume => "resume",
            Self::Swap => "swap",
            Self::Lvm => "lvm",
            Self::Root => "root",
            Self::Pivot => "pivot",
            Self::Host => "host",
            Self::Init => "init",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_and_a_sentence_name_a_phase_alike() {
        for phase in [
            Phase::Mounts,
            Phase::Acpi,
            Phase::Arrays,
            Phase::Tpm,
            Phase::Evidence,
            Phase::Further,
            Phase::Resume,
            Phase::Lvm,
            Phase::Init,
        ] {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.to_string());
        }
    }
}
