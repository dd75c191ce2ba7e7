//! Why a boot does not know what to do.

use crate::{
    config::{
        ConfigError, MAX_ARRAYS, MAX_VOLUMES,
        device::{DeviceSpec, DeviceSpecError},
    },
    host::TaoConfigError,
};

/// Where the image keeps its configuration.
pub(super) const CONFIG: &str = "/etc/taoboot.toml";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A word of the command line.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the section of the Tao host names in the image.
    #[error("{CONFIG}: {0}")]
    Tao(#[from] TaoConfigError),
    /// Neither names a volume.
    #[error(
        "no encrypted volume is named: put rd.luks.uuid=UUID on the kernel command line, [volume] device = \"UUID=...\" \
         into taoboot.toml, or the volume's partition into root="
    )]
    NoVolume,
    /// More than a machine has.
    #[error("kernel command line: rd.md.uuid names more than {MAX_ARRAYS} arrays")]
    TooManyArrays,
    /// What is on a further volume's disk, and which partition it is, anybody may change.
    #[error(
        "the further volume {0} is not named by the UUID of its LUKS header: write UUID=..., so that no other volume that is enrolled can take its place"
    )]
    FurtherNotByUuid(DeviceSpec),
    /// The kernel looks there before there is an /init.
    #[error(
        "kernel command line: resume={0} names a device that the kernel itself may resume from before /init runs, so that who can write to it puts any memory into an approved launch: name the swap on the enrolled volume (/dev/mapper/NAME, UUID=... or LABEL=...), or add noresume"
    )]
    ResumeBeforeInit(String),
    /// Nothing says where the image is.
    #[error(
        "{CONFIG}: [swap] has resume = true, but neither its device nor resume= on the kernel command line names the swap"
    )]
    ResumeWhere,
    /// A file has no mapping of its own.
    #[error(
        "kernel command line: resume_offset={0}: hibernation to a swap file is not supported; use a logical volume or a further volume"
    )]
    ResumeFile(String),
    /// One would hide the other.
    #[error(
        "two volumes have the name {0:?}: give each its own with rd.luks.name=UUID=NAME or name = in taoboot.toml"
    )]
    NameTwice(String),
}

/// A word on the command line that cannot be obeyed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandLineError {
    /// A `taoboot.` word that does not exist.
    #[error(
        "kernel command line: {0:?} is not an option of taoboot: expected taoboot.on_failure, taoboot.no_tpm, \
         taoboot.failure_delay, taoboot.device_timeout or taoboot.report"
    )]
    UnknownWord(String),
    /// A word with a value that means nothing.
    #[error("kernel command line: {word}: {reason}")]
    BadValue {
        /// The word.
        word: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// A device that means nothing.
    #[error("kernel command line: {word}: {source}")]
    BadDevice {
        /// The word.
        word: &'static str,
        /// What is wrong with it.
        source: DeviceSpecError,
    },
    /// More than a machine has.
    #[error("kernel command line: rd.luks words name more than {MAX_VOLUMES} volumes")]
    TooManyVolumes,
}
