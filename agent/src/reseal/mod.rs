//! Sealing the boot secret for the next launch without a passphrase: the resident agent has
//! the secret, and `taoboot reseal` asks it for a record.
//!
//! The secret never leaves the resident process. Whoever is root on the running machine decides
//! what may boot next; that is so with every disk whose key is in the kernel. What the service
//! adds is that it happens on purpose and leaves a trace: only root is served, only for files in
//! /boot whose content is known on the encrypted root, only for PCR values that follow from
//! these files, only with a record of this very secret as the pattern; and files, digests and
//! PCR values of every request are in the kernel log. Where a PIN was typed at boot, its stretched form
//! is kept beside the secret: what is sealed for the next launch asks for the same PIN.

mod boot_files;
mod client;
mod files;
mod launch;
mod pin_change;
mod protocol;
mod refusal;
mod request_log;
mod service;

pub use boot_files::{BOOT_FILES, BootFiles, BootFilesError, KnownFile, Origin, below};
pub use client::{ResealError, ask};
pub use launch::replay;
pub use protocol::{
    Confidential, LaunchEvent, MAX_MESSAGE, Measure, MeasuredFile, PinChange, PinProof, Question,
    Reply, SealRequest,
};
pub use service::{ResealService, ServiceError};

/// The socket of the resident agent.
pub const SOCKET: &str = "/run/tao/reseal.sock";

/// The only directory whose files a launch may be sealed for.
pub const BOOT: &str = "/boot";
