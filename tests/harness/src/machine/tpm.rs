//! The TPM that a machine has.

use std::path::PathBuf;
use std::time::Duration;

use crate::launch::Launch;

/// The TPM's interface to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TpmInterface {
    /// TIS, memory mapped FIFO.
    #[default]
    Tis,
    /// Command response buffer.
    Crb,
}

/// Which TPM specification the machine's TPM follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TpmVersion {
    /// TPM 1.2.
    V1_2,
    /// TPM 2.0.
    #[default]
    V2_0,
}

/// The TPM of a machine.
#[derive(Clone, Debug)]
pub struct Tpm {
    /// Directory of swtpm's state; made when it does not exist.
    pub state: PathBuf,
    /// Its kind.
    pub version: TpmVersion,
    /// How the guest talks to it.
    pub interface: TpmInterface,
    /// The launch of the first boot, of the second, ...; the last one stands for all that
    /// follow, an empty list for no launch at all.
    pub launches: Vec<Option<Launch>>,
    /// How much longer the commands with these codes take than swtpm needs.
    pub delays: Vec<(u32, Duration)>,
    /// Keep every byte that crosses the bus in [`Outcome::tpm_recording`].
    pub record: bool,
}

impl Tpm {
    /// A TPM that sees `launch` at each boot.
    pub fn new(state: impl Into<PathBuf>, launch: Option<Launch>) -> Self {
        Self {
            state: state.into(),
            version: TpmVersion::default(),
            interface: TpmInterface::default(),
            launches: vec![launch],
            delays: Vec::new(),
            record: false,
        }
    }
}
