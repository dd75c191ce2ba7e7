//! What a proxy is told, and what it says in the end.

use std::path::PathBuf;
use std::time::Duration;

use crate::launch::Launch;

/// What the proxy is to do.
#[derive(Debug)]
pub struct ProxyConfig {
    /// Where QEMU will connect. At most 107 bytes (the kernel's limit for such paths).
    pub socket: PathBuf,
    /// The launch of the first boot, of the second, ...; the last one stands for all
    /// that follow. `None` is a boot without a launch, an empty list never launches.
    pub launches: Vec<Option<Launch>>,
    /// Text log: one line for each TPM command.
    pub log: PathBuf,
    /// How much longer the commands with these codes take than swtpm needs.
    pub delays: Vec<(u32, Duration)>,
    /// Every byte that crossed, for tests that look for a secret in it.
    pub recording: Option<PathBuf>,
}

/// What passed through the proxy while the machine ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxySummary {
    /// TPM commands that the machine sent.
    pub commands: u64,
    /// Kernels that probed the TPM, which is the moment of the launch.
    pub boots: u32,
    /// Launches that were played.
    pub launches: u32,
    /// Resets of the TPM (power-on and reboots).
    pub resets: u32,
}
