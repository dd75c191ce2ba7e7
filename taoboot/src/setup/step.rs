//! The steps of `taoboot setup`, in their order.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, Result};
use serde::{Serialize, Serializer};

/// One step. Each is looked at on the machine itself; nothing remembers what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Config,
    Images,
    Policy,
    RecoveryKey,
    FirstBoot,
    Platform,
    Enrolment,
    Pins,
}

impl Step {
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Images,
        Self::Policy,
        Self::RecoveryKey,
        Self::FirstBoot,
        Self::Platform,
        Self::Enrolment,
        Self::Pins,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Images => "images",
            Self::Policy => "policy",
            Self::RecoveryKey => "recovery-key",
            Self::FirstBoot => "first-boot",
            Self::Platform => "platform",
            Self::Enrolment => "enrolment",
            Self::Pins => "pins",
        }
    }

    /// What it is for.
    pub fn does(self) -> &'static str {
        match self {
            Self::Config => "write the configuration that images are built with",
            Self::Images => "build the images, and put their entries into GRUB's menu",
            Self::Policy => "give tboot a policy that measures kernel and image",
            Self::RecoveryKey => "make a recovery key",
            Self::FirstBoot => "boot into the measured entry",
            Self::Platform => "keep what only this platform's launch tells",
            Self::Enrolment => "approve the launch that runs",
            Self::Pins => "make and approve images that pin this TPM and this secret",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|step| step.name() == text);
        found.with_context(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not a step; the steps are {names}")
        })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
