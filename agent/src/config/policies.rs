//! What happens to a boot that cannot go the usual way.

use serde::{Deserialize, Serialize};

/// What happens when the machine cannot be unlocked. The one failure policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Say why, wait, restart the machine.
    #[default]
    Reboot,
    /// Say why, wait, switch the machine off.
    Poweroff,
    /// Say why, close the TPM's latch, ask for a passphrase on the console.
    Prompt,
}

impl OnFailure {
    /// The word used in the configuration, on the command line and in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Poweroff => "poweroff",
            Self::Prompt => "prompt",
        }
    }
}

impl std::str::FromStr for OnFailure {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reboot" => Ok(Self::Reboot),
            "poweroff" => Ok(Self::Poweroff),
            "prompt" => Ok(Self::Prompt),
            "shell" => {
                Err("there is no shell in a taoboot image: use reboot, poweroff or prompt".into())
            }
            _ => Err(format!(
                "{text:?} is not a failure policy: reboot, poweroff or prompt"
            )),
        }
    }
}

/// What must be there so that the disk key is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Require {
    /// The approved launch on this TPM.
    #[default]
    #[serde(rename = "tpm")]
    Tpm,
    /// That, and a PIN which a person types.
    #[serde(rename = "tpm+pin")]
    TpmAndPin,
}

/// What happens on a machine that has no TPM at all. One that cannot be reached is another matter:
/// that always stops the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutTpm {
    /// Nothing is opened or asked for.
    #[default]
    Stop,
    /// A passphrase is asked for, where nothing says that there is a TPM or was a launch.
    Prompt,
}

impl std::str::FromStr for WithoutTpm {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stop" => Ok(Self::Stop),
            "prompt" => Ok(Self::Prompt),
            _ => Err(format!("{text:?} is not stop or prompt")),
        }
    }
}
