//! Sealing the boot secret for the next launch without a passphrase: the resident agent has
//! the secret, and `taoboot reseal` asks it for a record.
//!
//! The secret never leaves the resident process. What it seals to is what the asking root user
//! says, so whoever is root on the running machine decides what may boot next; that is so with
//! every disk whose key is in the kernel. What the service adds is that it happens on purpose
//! and leaves a trace: only root is served, only for files that lie in /boot with the content
//! that was predicted, only with a record of this very secret as the pattern, and every
//! request is in the kernel log.

mod client;
mod files;
mod protocol;
mod service;

pub use client::{ResealError, ask};
pub use protocol::{MAX_MESSAGE, MeasuredFile, Question, Reply, SealRequest};
pub use service::{ResealService, ServiceError};

/// The socket of the resident agent.
pub const SOCKET: &str = "/run/tao/reseal.sock";

/// The only folder whose files a launch may be sealed for.
pub const BOOT: &str = "/boot";
