//! What is wrong with a stack of devices.

use std::path::PathBuf;

use crate::mountinfo::MountInfoError;

/// More devices than a boot can need.
pub const MOST_DEVICES: usize = 256;
/// Layers: machines have five.
pub const DEEPEST: usize = 16;

/// A stack that is not understood.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file of /proc or /sys.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of /sys that says something else than the kernel does.
    #[error("{} says {text:?}, which is not {wanted}", .path.display())]
    Says {
        /// Which.
        path: PathBuf,
        /// What.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// mountinfo is not the kernel's.
    #[error(transparent)]
    MountInfo(#[from] MountInfoError),
    /// Nothing is mounted there.
    #[error("nothing is mounted on {0}")]
    NotMounted(String),
    /// zfs, a network, a file system of the memory.
    #[error(
        "{place} is mounted from {source_name} ({kind}), which is not a block device that /sys knows"
    )]
    NoDevice {
        /// Where.
        place: String,
        /// What was mounted.
        source_name: String,
        /// Its kind.
        kind: String,
    },
    /// A link of /sys leads out of it.
    #[error("{} leads out of /sys", .0.display())]
    Outside(PathBuf),
    /// A device is below itself.
    #[error("the device {0} is below itself")]
    Circle(String),
    /// Too many layers.
    #[error("more than {DEEPEST} devices are below one another")]
    Deep,
    /// Too many devices.
    #[error("more than {MOST_DEVICES} devices are in one stack")]
    Many,
}
